"""What the paper prints, as data. Every number here stands in the paper; none is ours.

A. K. Flayeh and A. Douik, "Categorizing and Determining of BI-RAD Breast Cancer
Score by Using Deep Learning Techniques".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from birads_lib.errors import one_of
from birads_lib.labels import LESION_CODES

TITLE = (
    "Categorizing and Determining of BI-RAD Breast Cancer Score by Using Deep Learning Techniques"
)

FIGURE_5 = np.array([[46700, 1946], [290, 6949]])
"""Confusion matrix of the gate; rows actual, columns predicted; uninfected, infected."""

TABLE_1 = np.array(
    [
        [1921, 51, 49, 42],
        [48, 1752, 49, 42],
        [48, 51, 1329, 42],
        [48, 51, 49, 1667],
    ]
)
"""Table 1, the counts of Figure 7; rows actual C2..C5, columns predicted C2..C5."""

TABLE_2 = pd.DataFrame(
    {
        "Precision": [0.93, 0.92, 0.90, 0.93],
        "Sensitivity": [0.931, 0.926, 0.904, 0.918],
        "Specificity": [0.972, 0.972, 0.974, 0.977],
        "Accuracy": [93, 92, 90, 93],
    },
    index=pd.Index(LESION_CODES, name="ID"),
)
"""Table 2; the last column is in percent."""

GATE_TEXT = {"precision": 0.781, "sensitivity": 0.960, "specificity": 0.960}
"""Figures of merit of the gate in section IV."""

TRAINING_SAMPLES = {"abstract": 55_890, "methodology": 55_885}
UNINFECTED, INFECTED = 48_646, 7_239  # section III.5
SHARES = {"negative": 0.86, "positive": 0.14}  # abstract and section III.5
ATTENTION_GAIN = (1.5, 2.5)  # percentage points, section VI
SCORER_PARAMETERS = 66_000_000  # "around 66 million", section IV
SCORER_INPUT = (200, 150, 3)  # section IV
PLAIN_FILTERS = (8, 16, 32, 64, 128)  # section IV
NON_INTEGER_CELLS = {"diagonal": 1921.4, "off": 48.2}  # breakdown of Figure 7, column C2

TESTS = ("arithmetic", "structure", "data set", "measurement", "none")
"""How a statement can be tested: from the printed numbers; by setting the description beside
itself, its equations or the networks it names; against what the data set is known to hold; by
a measurement on tiles; or not from here."""


@dataclass(frozen=True)
class Statement:
    """One quantitative or structural statement of the paper.

    Attributes:
        id: Short name, unique, in kebab case.
        quote: A few words as they stand in the paper, white space apart.
        where: Section, table, figure or equation.
        value: What is stated: a number, several, or words.
        unit: Of the value; empty where there is none.
        test: One of ``TESTS``.
    """

    id: str
    quote: str
    where: str
    value: float | str | tuple[float, ...]
    unit: str
    test: str


def table_1() -> pd.DataFrame:
    """Table 1 in the paper's layout."""
    return confusion_table(TABLE_1)


def confusion_table(matrix: np.ndarray) -> pd.DataFrame:
    """A confusion matrix over C2..C5 in the layout of Table 1."""
    return pd.DataFrame(
        matrix,
        index=pd.Index([f"Actual {code}" for code in LESION_CODES], name="ID"),
        columns=[f"Predicted {code}" for code in LESION_CODES],
    )


def statement(name: str) -> Statement:
    """The statement of that id.

    Raises:
        UsageError: There is none.
    """
    return _BY_ID[one_of("statement", name, _BY_ID)]


def _figure_5_cells() -> Iterator[Statement]:
    names = ("true negatives", "false positives", "false negatives", "true positives")
    for name, count in zip(names, FIGURE_5.flat, strict=True):
        yield Statement(
            f"figure-5-{name.replace(' ', '-')}",
            f"{name} ({count})",
            "IV and Figure 5",
            int(count),
            "tiles",
            "arithmetic",
        )


def _table_1_cells() -> Iterator[Statement]:
    for actual, row in zip(LESION_CODES, TABLE_1.tolist(), strict=True):
        quote = " ".join(map(str, (f"Actual {actual}", *row)))
        for predicted, count in zip(LESION_CODES, row, strict=True):
            yield Statement(
                f"table-1-actual-{actual}-predicted-{predicted}".lower(),
                quote,
                f"Table 1, actual {actual}, predicted {predicted}",
                count,
                "tiles",
                "arithmetic",
            )


def _table_2_cells() -> Iterator[Statement]:
    for code, row in TABLE_2.iterrows():
        quote = f"{code} {row['Precision']:.2f} " + " ".join(
            (f"{row['Sensitivity']:.3f}", f"{row['Specificity']:.3f}", f"{row['Accuracy']:.0f}")
        )
        for column, value in row.items():
            yield Statement(
                f"table-2-{column}-{code}".lower(),
                quote,
                f"Table 2, {code}, {column}",
                float(value),
                "%" if column == "Accuracy" else "",
                "arithmetic",
            )


def _text() -> Iterator[Statement]:
    for row in _TEXT:
        yield Statement(*row)


_TEXT: tuple[tuple[str, str, str, float | str | tuple[float, ...], str, str], ...] = (
    # Abstract
    ("abstract-training-samples", "contains 55,890 training samples", "Abstract",
     55_890, "tiles", "data set"),
    ("abstract-shares", "86% are negative, and 14% are positive", "Abstract",
     (86, 14), "%", "arithmetic"),
    ("abstract-classes", "categorized into classes C1, C2, C3, C4, and C5", "Abstract",
     5, "classes", "data set"),
    ("abstract-accuracies", "93%, 92%, 90%, and 93% for each category (C2, C3, C4, and C5)",
     "Abstract", (93, 92, 90, 93), "%", "measurement"),
    ("abstract-libraries", "NumPy, Pandas, TensorFlow, Keras, Matplotlib, and Seaborn",
     "Abstract and III", "six libraries", "", "none"),
    ("abstract-features",
     "region of interest (RIO), Gray Level Co-Occurrence Matrix (GLCAM), clustering", "Abstract",
     "features of other classifiers", "", "measurement"),
    ("abstract-laptop", "an Intel Core i7 CPU, 16GB of RAM, and Intel RTX integrated graphics",
     "Abstract and III", "laptop", "", "none"),
    # I. Introduction
    ("introduction-one-in-eight", "1 out of every eight cancer diagnoses", "I",
     1 / 8, "share of diagnoses", "none"),
    ("introduction-new-cases", "a total of 2.3 million new cases", "I",
     2_300_000, "cases a year", "none"),
    ("introduction-share-of-cases", "25% of all cancer cases in women", "I",
     25, "%", "none"),
    ("introduction-deaths", "Approximately 685,000 women", "I", 685_000, "deaths", "none"),
    ("introduction-share-of-deaths", "16% of all cancer-related fatalities in women, or 1 in every "
     "six deaths", "I", 16, "%", "arithmetic"),
    ("introduction-seven-categories", "seven categories ranging from 0 to 6", "I",
     7, "categories", "structure"),
    ("introduction-order", "As the number increases, the malignancy also increases", "I",
     "rising from 0 to 6", "", "structure"),
    ("introduction-application", "used as an application on a mobile phone or a web page", "I",
     "mobile phone or web page", "", "structure"),
    ("introduction-three-sections", "divided into three sections", "I",
     3, "sections", "structure"),
    # II. Literature
    ("literature-huang", "CNN earned an accuracy of 79.7% for BI-RADS category 3", "II",
     (75.5, 72.3, 79.7), "%", "measurement"),
    ("literature-saber", "(accuracy (98.96%), sensitivity (97.83%), specificity (99.13%)", "II",
     (98.96, 97.83, 99.13), "%", "measurement"),
    ("literature-saber-auc", "AUC (0.995)", "II", 0.995, "", "measurement"),
    ("literature-saber-f-score", "F-score (97.66%)", "II", 97.66, "%", "none"),
    ("literature-szegedy", "decreases by 4% every 8 epochs", "II", 4, "%", "measurement"),
    ("literature-szegedy-momentum", "with a momentum of 0.9", "II", 0.9, "", "measurement"),
    ("literature-szegedy-averaging", "Using Polyak averaging, the final model was generated", "II",
     "averaged weights", "", "measurement"),
    ("literature-abdulaal", "achieved an accuracy of 98.08%", "II", 98.08, "%", "measurement"),
    ("literature-abdulaal-original", "than the original GoogLeNet's 94.99%", "II",
     94.99, "%", "measurement"),
    ("literature-abdulaal-multiclass", "this new model reached an accuracy of 94.63%", "II",
     94.63, "%", "measurement"),
    ("literature-abdulaal-unmodified", "the 85.06% accuracy of the unmodified GoogLeNet", "II",
     85.06, "%", "measurement"),
    ("literature-islam", "XGBoost delivered the highest accuracy, achieving 97%", "II",
     97, "%", "measurement"),
    ("literature-islam-methods", "the performance of five machine learning methods", "II",
     5, "methods", "measurement"),
    ("literature-islam-patients", "a primary dataset of 500 patients", "II",
     500, "patients", "none"),
    # III. Methodology
    ("methodology-mammograms", "comprises 55,885 mammograms", "III", 55_885, "tiles", "data set"),
    ("methodology-birads-classes", "categorized into BI-RADS classes C1, C2, C3, C4, and C5", "III",
     "C1 to C5 are BI-RADS classes", "", "data set"),
    ("methodology-source", "Automatic Mammography-Based Age Estimation", "III",
     "Mini-DDSM, references 19 and 20", "", "data set"),
    ("methodology-noise", "used an autoencoder to train images and eliminate any unwanted noise",
     "III and III.1", "noise is removed", "", "measurement"),
    ("methodology-first-stage", "to classify images (infected or uninfected)", "III",
     2, "classes", "structure"),
    ("methodology-peers", "lightweight models like SqueezeNet and ShuffleNet", "III",
     "MobileNetV2 is better", "", "measurement"),
    ("methodology-second-stage", "feeding the infected images to the model", "III",
     "infected images of stage one", "", "arithmetic"),
    ("equation-1", "is the feature map extracted by EfficientNetB7", "III, equation (1)",
     "F, (H, W, C)", "", "structure"),
    ("equation-2", "spatial attention map of size (H, W, 1)", "III, equation (2)",
     "A_s, (H, W, 1)", "", "structure"),
    ("equation-3", "with the attention map $A_s$ to get the refined feature map",
     "III, equation (3)", "F_s = A_s F, (H, W, C)", "", "structure"),
    ("equation-4", "passed through a global average pooling layer", "III, equation (4)",
     "V = GAP(F_c), (C)", "", "structure"),
    ("equation-5", "output probability distribution over the classes (e.g., C2, C3, C4, C5)",
     "III, equation (5)", 4, "classes", "structure"),
    ("equation-6", "channel attention map of size (1, 1, C)", "III, equation (6)",
     "A_c, (1, 1, C)", "", "structure"),
    ("equation-6-second-line", "The overall model can be described as", "III, equation (6)",
     "y = Softmax(W GAP(A_c A_s F) + b)", "", "structure"),
    # III.1 Autoencoder
    ("autoencoder-parts", "two primary components: the encoder and the decoder", "III.1",
     2, "parts", "structure"),
    ("autoencoder-encoder",
     "a sequence of convolutional layers that progressively decrease the spatial dimensions",
     "III.1", "sides fall", "", "structure"),
    ("autoencoder-pooling", "supplemented with pooling layers to down-sample the image", "III.1",
     "pooling", "", "structure"),
    ("autoencoder-latent", "The latent space representation is a condensed \"code\"", "III.1",
     "fewer numbers than the input", "", "structure"),
    ("autoencoder-noise", "the Autoencoder being trained on pictures with noise", "III.1",
     "noise is added", "", "structure"),
    ("autoencoder-characteristics",
     "prioritizes the important characteristics while disregarding the noise", "III.1",
     "noise goes, the rest stays", "", "measurement"),
    ("autoencoder-decoder", "replicates the structure of the encoder but in a reversed manner",
     "III.1", "the encoder reversed", "", "structure"),
    ("autoencoder-up-sampling",
     "using up-sampling and convolutional layers to restore the picture", "III.1",
     "up-sampling and convolutions", "", "structure"),
    ("autoencoder-size", "to its original dimensions gradually", "III.1",
     "the input's size", "", "structure"),
    ("figure-2", "The autoencoder architecture", "III.1 and Figure 2",
     "a drawing", "", "structure"),
    # III.2 to III.4
    ("mobilenet-mri", "binary classification challenge for MRI classification", "III.2",
     "magnetic resonance images", "", "structure"),
    ("mobilenet-bottleneck", "a depth-wise 3x3 convolutional layer for filtering", "III.2",
     3, "layers a bottleneck", "structure"),
    ("mobilenet-grey", "modifies the input layer to include grayscale medical pictures", "III.2",
     "grey input", "", "structure"),
    ("attention-query", "takes a query and a set of key-value pairs as input", "III.3",
     "query, keys, values", "", "structure"),
    ("attention-softmax", "The weights are generated using a softmax function", "III.3",
     "softmax", "", "structure"),
    ("attention-regions", "regions that exhibit abnormal forms, densities, or textures", "III.3",
     "emphasised by attention", "", "measurement"),
    ("efficientnet-blocks", "squeeze-and-excitation blocks", "III.4",
     "MBConv with squeeze and excitation", "", "structure"),
    # III.5 Dataset
    ("dataset-link", "can be downloaded from the following link:", "III.5", "a link", "", "none"),
    ("dataset-training-samples", "The dataset contains 55,890 training samples", "III.5",
     55_890, "tiles", "data set"),
    ("dataset-shares", "of which 86% are negative and 14% are positive", "III.5",
     (86, 14), "%", "arithmetic"),
    ("dataset-files", "The five records files include these examples", "III.5",
     5, "files", "data set"),
    ("dataset-halves", "the data for testing and validation has been distributed equally", "III.5",
     "equal parts", "", "data set"),
    ("dataset-test-masses", "the test numpy files only contained mass information", "III.5",
     "masses only", "", "data set"),
    ("dataset-validation-calcifications",
     "the validation files only contained calcification information", "III.5",
     "calcifications only", "", "data set"),
    ("dataset-label-normal", "label normal = 0 for the negative and 1 for the positive", "III.5",
     2, "values", "data set"),
    ("dataset-label-0", "0 indicates no change", "III.5", "no change", "", "data set"),
    ("dataset-label-1", "1 indicates benign calcification", "III.5",
     "benign calcification", "", "data set"),
    ("dataset-label-2", "2 indicates benign mass", "III.5", "benign mass", "", "data set"),
    ("dataset-label-3", "3 indicates malignant calcification", "III.5",
     "malignant calcification", "", "data set"),
    ("dataset-label-4", "4 indicates malignant mass", "III.5", "malignant mass", "", "data set"),
    ("dataset-spreading", "4 signifying malignant and spreading mass", "III.5",
     "malignant and spreading mass", "", "data set"),
    ("dataset-stage-ways", "two ways to find out what stage cancer is in", "III.5",
     2, "ways", "structure"),
    ("dataset-tnm-methods", "Cancers can be evaluated using three methods", "III.5",
     3, "methods", "structure"),
    ("dataset-tnm-stages", "a stage from 0 (in situ) to IV (the most advanced stage", "III.5",
     "0 to IV", "", "structure"),
    ("birads-stage", "(BI-RADS) system to determine the stage of malignancy", "III.5",
     "a stage", "", "structure"),
    ("birads-seven-types", "using one of seven evaluation types", "III.5",
     7, "types", "structure"),
    ("birads-0-and-1", "ranges from 0 (incomplete) to 1 (negative)", "III.5",
     "0 incomplete, 1 negative", "", "structure"),
    ("birads-further-images", "and 2 (further imaging evaluations", "III.5",
     "2: further images", "", "structure"),
    ("birads-2", "The second BI-RADS score indicates a benign condition with no chance of cancer",
     "III.5", 0, "% chance of cancer", "structure"),
    ("birads-3", "The third score indicates a 2% chance of cancer", "III.5",
     2, "% chance of cancer", "structure"),
    ("birads-4", "The fourth score indicates a 2–94% chance of cancer", "III.5",
     (2, 94), "% chance of cancer", "structure"),
    ("birads-5", "with a probability of more than 95%", "III.5",
     95, "% chance of cancer", "structure"),
    ("birads-6", "A biopsy is required to confirm the tumor's malignant nature", "III.5",
     "biopsy required", "", "structure"),
    ("dataset-two-classes", "are categorized into two classes", "III.5",
     2, "classes", "data set"),
    ("dataset-uninfected", "C1, which has 48,646 photos", "III.5", UNINFECTED, "tiles", "data set"),
    ("dataset-infected", "a total of 7,239 images across various categories", "III.5",
     INFECTED, "tiles", "data set"),
    ("dataset-sum", "Cs = C2+C3+C4+C5", "III.5", INFECTED, "tiles", "arithmetic"),
    ("dataset-c1", "C1 indicates the absence of cancer", "III.5",
     "C1: no cancer", "", "data set"),
    # IV. Results
    ("gate-accuracy", "we reached a classification accuracy of 96%", "IV", 96, "%", "arithmetic"),
    ("gate-precision", "Precision: 0.781", "IV", 0.781, "", "arithmetic"),
    ("gate-sensitivity", "Sensitivity (Recall): 0.960", "IV", 0.960, "", "arithmetic"),
    ("gate-specificity", "Specificity: 0.960", "IV", 0.960, "", "arithmetic"),
    ("figure-6-curves", "sensitivity and specificity remain high, precision shows more variability",
     "IV and Figure 6", "three curves", "", "none"),
    ("scorer-parameters", "parameter count of around 66 million", "IV",
     SCORER_PARAMETERS, "weights", "structure"),
    ("scorer-kernel", "8 filters with a size of 3x3", "IV", (3, 3), "px", "structure"),
    ("scorer-layer-1", "At this point, 8 filter parameters are imported", "IV",
     8, "filters", "structure"),
    ("scorer-layer-2", "The second layer utilizes 16 filter parameters", "IV",
     16, "filters", "structure"),
    ("scorer-layer-3", "the third layer uses 32 filters", "IV", 32, "filters", "structure"),
    ("scorer-layer-4", "the fourth layer incorporates 64 layers", "IV", 64, "filters", "structure"),
    ("scorer-layer-5", "the fifth layer utilizes 128 filter parameters", "IV",
     128, "filters", "structure"),
    ("scorer-input", "The input shape for all layers is defined as (200, 150, 3)", "IV",
     SCORER_INPUT, "px, px, channels", "structure"),
    ("scorer-channels", "consist of three color channels", "IV", 3, "channels", "data set"),
    ("scorer-relu", "The ReLU activation function is evenly applied to all layers", "IV",
     "ReLU", "", "structure"),
    ("scorer-pooling", "a pooling size of 2x2 is used in the first layer", "IV",
     (2, 2), "px", "structure"),
    ("figure-7-test-data", "on a set of test data for which the true values are known", "IV",
     "test data", "", "arithmetic"),
    ("figure-7-diagonal", "predicted class C2 1921.4 times when the actual class was C2", "IV",
     1921.4, "tiles", "arithmetic"),
    ("figure-7-off-diagonal", "Predicted C2 shows 48.2", "IV", 48.2, "tiles", "arithmetic"),
    ("figure-7-total", "confusion matrix for (7239 infected images)", "IV",
     INFECTED, "tiles", "arithmetic"),
    ("text-precision-c2", "a precision of 0.93 indicates that 93%", "IV", 0.93, "", "arithmetic"),
    ("text-sensitivity-c2", "The sensitivity of 0.931", "IV", 0.931, "", "arithmetic"),
    ("text-specificity-c2", "specificity of 0.972", "IV", 0.972, "", "arithmetic"),
    ("text-total-accuracy", "A 93% total accuracy", "IV", 93, "%", "arithmetic"),
    ("figure-8-categories", "predicted BI-RADS categories ranging from C2 to C5", "IV and Figure 8",
     "C2 to C5", "", "measurement"),
    ("figure-8-meaning", "C2 being benign findings and C5 highly suggestive of malignancy",
     "IV and Figure 8", "C2 benign, C5 highly suggestive", "", "data set"),
    ("table-2-definition", "Accuracy reflects the overall proportion of true predictions", "IV",
     "share of all predictions", "", "arithmetic"),
    ("table-2-higher", "precision and sensitivity slightly higher in C2 and C5", "IV",
     "C2 and C5 highest", "", "arithmetic"),
    ("table-2-highest-specificity", "specificity highest in C5", "IV",
     "C5 highest", "", "arithmetic"),
    ("table-2-above-90", "accuracy consistently above 90%", "IV", 90, "%", "arithmetic"),
    # V. Discussion
    ("discussion-features", "acts as a classifier on the features extracted by the Autoencoder",
     "V", "features of the autoencoder", "", "structure"),
    ("discussion-scaling", "compound scaling to optimize depth, width, and resolution", "V",
     3, "dimensions", "structure"),
    # VI. Conclusion
    ("conclusion-detection", "an impressive detection rate of 96%", "VI", 96, "%", "measurement"),
    ("conclusion-attention-gain", "by 1.5 to 2.5 percentage points", "VI",
     ATTENTION_GAIN, "percentage points", "measurement"),
    ("conclusion-denoising", "crucial for the success of subsequent analyses", "VI",
     "denoising helps", "", "measurement"),
    ("conclusion-classes", "four distinct categories (C1, C2, C3, C4)", "VI",
     "C1 to C4", "", "structure"),
    ("conclusion-accuracies", "93%, 92%, 90%, and 93% for categories C1, C2, C3, and C4", "VI",
     (93, 92, 90, 93), "%", "structure"),
    ("conclusion-hu-moments", "a statistical method like Hu Moment", "VI",
     "to be compared", "", "measurement"),
    # References
    ("literature-purnama",
     "Classification of BI-RADS using convolutional neural network and EfficientNet-B7",
     "References [19]", "EfficientNet-B7", "", "measurement"),
)  # fmt: skip

REGISTER: tuple[Statement, ...] = (
    *_text(),
    *_figure_5_cells(),
    *_table_1_cells(),
    *_table_2_cells(),
)
"""Every quantitative or structural statement of the paper; cells of a matrix one by one."""
_BY_ID = {entry.id: entry for entry in REGISTER}
