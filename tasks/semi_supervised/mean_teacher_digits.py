"""Semi-supervised learning: read handwritten digits after seeing eight labelled ones of each.

A student learns from the labels and from what a teacher predicts of the same images, changed otherwise. In the Pi model
(Laine & Aila 2017, ICLR, arXiv:1610.02242) the teacher is the student itself, in Mean Teacher (Tarvainen & Valpola
2017, NeurIPS, arXiv:1703.01780) it is the moving average of the student's weights. As in the latter, no gradient goes
through the teacher, the cost of consistency is the squared error of the class probabilities, its weight is ramped up,
the optimiser is Adam, and the teacher is evaluated. Other than there, every step sees all labelled images, and the
learning rate falls to zero by a cosine. The images are scikit-learn's digits (``tasks.digits``); of 897 for training
80 keep their label, and no other label is handed to the training.

The search is over the method, the consistency, the net and the changes of the images.

To beat: guessing 0.90. Figures of the default, its noise and the best known are in docs/tasks.md.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from ConfigSpace import Categorical, ConfigurationSpace, EqualsCondition, Float
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from suite.data import verified
from suite.task import Checkpoint, Configuration, Fidelity, Metric, Split, TaskSpec, Vector, constants_beside
from tasks import augmentation, digits
from tasks.networks import image_cnn
from tasks.optimisers import descend
from tasks.semi_supervised.labels import few_labels
from tasks.teacher import Taught, ramp_up
from tasks.training import Data, Training, drawn_from, error_rate, require_finite, stream, tensors

LABELS_PER_CLASS = 8
STEPS, STEP = 600, 20
UNLABELLED_BATCH = 64  # beside all labelled images
DEPTH = 3
STRENGTHS = {"rotation": 30.0, "zoom": 0.4, "shear": 0.5, "translation": 0.2}  # of the changes, at most
LEAST_STRENGTH = 0.05  # share of these where the differentiable problem starts
VECTORS = {
    "weight_logits": Vector(digits.TRAIN, -6.0, 6.0),
    "log_consistency": Vector(1, -4.6, 2.3),
    "log_strengths": Vector(len(STRENGTHS), -3.0, -math.log(LEAST_STRENGTH)),
    "log_noise": Vector(1, -3.0, 1.0),
}

DATA = replace(
    digits.DATA,
    digest="d275997713ad028a91c53f9869b0f59b8e8205118490646acdb6cbc038d21344",
    splits=f"{digits.DATA.splits}; of the {digits.TRAIN} a random {LABELS_PER_CLASS} of each class are labelled",
)


def build_model(configuration: Configuration) -> Taught:
    """(batch, 1, 8, 8) -> (batch, 10) logits; the first weights come from the global generator."""
    width, norm = int(configuration["width"]), str(configuration["normalisation"])
    act = str(configuration.get("activation", "relu"))
    return Taught(image_cnn(digits.SIDE, digits.CLASSES, width, DEPTH, norm, act))


def begin(configuration: Configuration, seed: int, device: str) -> Training[Taught]:
    """A training before its first step."""
    with drawn_from(stream(seed, "weights")):
        model = build_model(configuration).to(device)
    optimiser = torch.optim.Adam(model.student.parameters(), float(configuration["learning_rate"]), fused=True)
    streams = {name: stream(seed, name) for name in ("unlabelled", "augmentation")}
    return Training(configuration, seed, model, optimiser, streams)


def view(x: torch.Tensor, changes: Mapping[str, Any], generator: torch.Generator) -> torch.Tensor:
    """(batch, 1, 8, 8) -> the same, each image changed at random as strongly as ``changes`` says (a configuration)."""
    rotation, zoom, shear, translation = (changes[name] for name in STRENGTHS)
    x = augmentation.affine(x, rotation, zoom, shear, translation, generator)
    return augmentation.noise(x, changes["noise"], generator)


def train_step(training: Training[Taught], data: Data, step: int) -> torch.Tensor:
    """One step of the student, which the teacher follows; returns the loss."""
    configuration, model, changes = training.configuration, training.model, training.streams["augmentation"]
    x, y = data["labelled_x"], data["labelled_y"]
    chosen = torch.randint(len(data["unlabelled_x"]), (UNLABELLED_BATCH,), generator=training.streams["unlabelled"])
    unlabelled = data["unlabelled_x"][chosen.to(x.device)]
    with torch.no_grad():
        target = model.teacher(view(unlabelled, configuration, changes)).softmax(dim=1)
    logits = model.student(view(torch.cat([x, unlabelled]), configuration, changes))
    consistency = functional.mse_loss(logits[len(x) :].softmax(dim=1), target)
    weight = float(configuration["consistency_weight"]) * ramp_up(step / (STEPS * float(configuration["ramp_up"])))
    loss = functional.cross_entropy(logits[: len(x)], y) + weight * consistency
    descend(training.optimiser, loss, "cosine", step / STEPS)
    model.follow(float(configuration.get("decay", 0.0)), step)
    return loss.detach()


@dataclass(frozen=True)
class WeightedImages:
    """The Pi model as a differentiable problem: a weight for each image without label, one for all of them, and the
    strengths of the changes, 903 hyper-parameters.

    The rest is the default's, but for group normalisation, whose layers keep no statistics, and a smooth activation,
    since the hypergradient of a training needs second derivatives, which a rectifier hides. Gradients go through both
    predictions of an image, as Laine & Aila have it.
    """

    model: nn.Module
    data: Data
    configuration: Configuration
    seed: int
    steps: int = STEPS
    step_size: float = 1e-3

    def hyperparameters(self) -> dict[str, torch.Tensor]:
        """``weight_logits`` (897,), ``log_consistency`` (), ``log_strengths`` (4,) as shares of the search space's
        largest, ``log_noise`` ()."""
        device = self.data["unlabelled_x"].device
        return {
            "weight_logits": torch.zeros(len(self.data["unlabelled_x"]), device=device),
            "log_consistency": torch.tensor(math.log(float(self.configuration["consistency_weight"])), device=device),
            "log_strengths": torch.full((len(STRENGTHS),), math.log(LEAST_STRENGTH), device=device),
            "log_noise": torch.tensor(math.log(float(self.configuration["noise"])), device=device),
        }

    def parameters(self) -> dict[str, torch.Tensor]:
        return {name: value.detach().clone() for name, value in self.model.named_parameters()}

    def inner_loss(self, parameters: Data, hyperparameters: Data, step: int) -> torch.Tensor:
        """Cross-entropy of the labelled images, and the weighted squared difference of two predictions of others."""
        random = stream(self.seed, f"batch {step}")
        x, y, others = self.data["labelled_x"], self.data["labelled_y"], self.data["unlabelled_x"]
        chosen = torch.randint(len(others), (UNLABELLED_BATCH,), generator=random).to(others.device)
        shares = zip(STRENGTHS.items(), hyperparameters["log_strengths"].exp(), strict=True)
        changes = {name: largest * share for (name, largest), share in shares}
        changes["noise"] = hyperparameters["log_noise"].exp()
        seen = torch.cat([view(x, changes, random), view(others[chosen], changes, random)])
        logits: torch.Tensor = functional_call(self.model, dict(parameters), (seen,))
        seen_again = functional_call(self.model, dict(parameters), (view(others[chosen], changes, random),))
        differences = (logits[len(x) :].softmax(dim=1) - seen_again.softmax(dim=1)).square().mean(dim=1)
        weights = 2 * hyperparameters["weight_logits"][chosen].sigmoid()  # 1 at the start
        ramp = ramp_up(step / (STEPS * float(self.configuration["ramp_up"])))
        consistency = hyperparameters["log_consistency"].exp() * (weights * differences).mean()
        loss: torch.Tensor = functional.cross_entropy(logits[: len(x)], y) + ramp * consistency
        return loss

    def outer_loss(self, parameters: Data, hyperparameters: Data) -> torch.Tensor:
        """Cross-entropy on the validation images."""
        logits = functional_call(self.model, dict(parameters), (self.data["validation_x"],))
        return functional.cross_entropy(logits, self.data["validation_y"])

    def checkpoint(self, parameters: Data, hyperparameters: Data) -> Checkpoint:
        """As of a full training, with the student as its own teacher."""
        model = {f"{part}.{name}": value for part in ("student", "teacher") for name, value in parameters.items()}
        return Checkpoint(STEPS, {"configuration": dict(self.configuration), "model": model})


@dataclass(frozen=True)
class MeanTeacherDigits:
    """The task, by the contract of ``suite.task.Task``."""

    spec: TaskSpec

    def load(self, variant: int = 0) -> Data:
        """``labelled_x`` (80, 1, 8, 8) in [0, 1], ``labelled_y`` (80,), ``unlabelled_x`` (897, 1, 8, 8), and ``x`` and
        ``y`` of ``validation`` (400) and ``test`` (500); raises ``DataMismatch``. A variant splits and labels anew."""
        arrays = few_labels(digits.arrays(variant), LABELS_PER_CLASS, variant)
        data = tensors(verified(self.spec.data[0], arrays, variant))
        return {name: values / digits.LARGEST if name.endswith("_x") else values for name, values in data.items()}

    def train(
        self, data: Data, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        training = begin(configuration, seed, device)
        done = training.resume(start) if start else 0
        here = {name: data[name].to(device) for name in ("labelled_x", "labelled_y", "unlabelled_x")}
        for step in range(done, STEPS):
            loss = train_step(training, here, step)
            if (step + 1) % STEP == 0:
                require_finite(loss, step + 1)
                yield training.checkpoint(step + 1)

    @property
    def vectors(self) -> Mapping[str, Vector]:
        return VECTORS

    def differentiable(self, data: Data, seed: int, device: str) -> WeightedImages:
        configuration = {name: value for name, value in self.spec.default.items() if name != "decay"}
        configuration |= {"method": "pi", "normalisation": "group", "activation": "gelu"}
        with drawn_from(stream(seed, "weights")):
            model = build_model(configuration).student.to(device)
        here = {name: values.to(device) for name, values in data.items()}
        return WeightedImages(model, here, configuration, seed)

    def evaluate(self, data: Data, checkpoint: Checkpoint, split: Split) -> float:
        """Share of the images of ``split`` that the teacher puts into a wrong class."""
        return error_rate(build_model, data, checkpoint, split)


def search_space() -> ConfigurationSpace:
    """Twelve hyper-parameters; the default is Mean Teacher whose images are changed by white noise alone."""
    space = ConfigurationSpace(name="semi_supervised/mean-teacher-digits")
    method = Categorical("method", ["mean-teacher", "pi"], default="mean-teacher")
    decay = Float("decay", (0.9, 0.999), default=0.99)
    space.add(
        method,
        decay,
        Float("learning_rate", (1e-4, 0.1), default=1e-3, log=True),
        Float("consistency_weight", (1.0, 1000.0), default=100.0, log=True),
        Float("ramp_up", (0.01, 1.0), default=0.3),
        Categorical("normalisation", ["none", "batch", "group"], default="batch"),
        Categorical("width", [8, 16, 32], default=16, ordered=True),
        *(Float(name, (0.0, largest), default=0.0) for name, largest in STRENGTHS.items()),
        Float("noise", (0.0, 0.4), default=0.15),
        EqualsCondition(decay, method, "mean-teacher"),
    )
    return space


TASK = MeanTeacherDigits(
    TaskSpec(
        name="semi_supervised/mean-teacher-digits",
        version="1",
        summary="read handwritten digits from eight labels of each by Mean Teacher or the Pi model (error rate)",
        paper="Tarvainen & Valpola 2017, Mean teachers are better role models, NeurIPS, arXiv:1703.01780",
        space=search_space(),
        fidelity=Fidelity("steps", STEP, STEPS, STEP),
        validation=Metric("validation error rate", "minimize", worst=1.0),
        test=Metric("test error rate", "minimize", worst=1.0),
        data=(DATA,),
        mutable=frozenset(
            {
                "decay",
                "learning_rate",
                "consistency_weight",
                "ramp_up",
                "rotation",
                "zoom",
                "shear",
                "translation",
                "noise",
            }
        ),
        constants=constants_beside(__file__),
    )
)
