"""One thread, as for the tests of the tasks."""

from tests.tasks.conftest import one_thread as one_thread
