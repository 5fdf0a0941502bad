"""Facts of networks as the paper describes them, for tests that build none."""

from birads_lib.study.built import (
    BUILT,
    PLAIN,
    PRINTED,
    TRAINED,
    BuiltAutoencoder,
    BuiltGate,
    BuiltPlain,
    BuiltScorer,
    save,
)

FEATURES = (7, 5, 2560)
SCORER = BuiltScorer(
    backbone="efficientnetb7",
    pretrained=True,
    weights=70_664_095,
    backbone_weights=64_097_687,
    input=(200, 150, 3),
    features=FEATURES,
    spatial=(7, 5, 1),
    refined=FEATURES,
    channel=(1, 1, 2560),
    weighted=FEATURES,
    pooled=(2560,),
    output=(4,),
)
PLAIN_CNN = BuiltPlain(98_900, (200, 150, 3), (8, 16, 32, 64, 128), ((3, 3),) * 5, ((2, 2),) * 5)
GATE = BuiltGate(1.0, True, True, 2_400_000, (224, 224, 1))
AUTOENCODER = BuiltAutoencoder(
    noise=12.0,
    weights=14_217,
    input=(299, 299, 1),
    output=(299, 299, 1),
    code=(75, 75, 8),
    encoder=(
        ("Conv2D", (300, 300, 16)),
        ("MaxPooling2D", (150, 150, 16)),
        ("Conv2D", (150, 150, 32)),
        ("MaxPooling2D", (75, 75, 32)),
    ),
    decoder=(
        ("UpSampling2D", (150, 150, 8)),
        ("Conv2D", (150, 150, 32)),
        ("UpSampling2D", (300, 300, 32)),
        ("Conv2D", (300, 300, 16)),
        ("Conv2D", (300, 300, 1)),
    ),
)


AGREEMENT = {"litert": {"gate": 2e-7, "scorer": 3e-7}, "onnx": {"gate": 1e-7, "scorer": None}}


def results(
    scorer=SCORER,
    printed=SCORER,
    plain=PLAIN_CNN,
    gate=GATE,
    autoencoder=AUTOENCODER,
    agreement=AGREEMENT,
):
    """Results of the chapters that build, by chapter; what is ``None`` was not built."""
    networks = {
        "attention": {TRAINED: scorer, PRINTED: printed, PLAIN: plain},
        "gate": {TRAINED: gate},
        "autoencoder": {TRAINED: autoencoder},
    }
    exported = {} if agreement is None else {"phone": {"agreement": agreement}}
    return exported | {
        chapter: {BUILT: {name: save(facts) for name, facts in of.items() if facts is not None}}
        for chapter, of in networks.items()
    }
