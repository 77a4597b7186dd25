/** The data sets that can be downloaded: what they are, their files, where those come from and how to know them. */

import { InputError } from "../errors.js";

/** One file of a data set, as its publisher serves it. */
export interface RemoteFile {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly sha256: string;
  /**
   * SHA-256 of what the gzip file holds. Copies of MNIST that were compressed anew are common: they are the same
   * data, and are accepted.
   */
  readonly contentSha256?: string;
}

export interface CatalogEntry {
  readonly title: string;
  /** The folder (URL, ends with a slash) in which the publisher keeps the files. */
  readonly url: string;
  readonly licence: string;
  readonly files: readonly RemoteFile[];
  /** Names of the classes, in the order of the labels. */
  readonly classes: readonly string[];
}

export const DOWNLOADABLE = ["mnist", "fashion-mnist", "kmnist", "cifar10", "cifar100"] as const;
export type DownloadableName = (typeof DOWNLOADABLE)[number];

const DIGITS = "0 1 2 3 4 5 6 7 8 9".split(" ");

/**
 * Checksums. MNIST: the MD5 sums of torchvision (`MNIST.resources`) belong to the files with these SHA-256 sums
 * (TensorFlow Datasets' checksum list); the sums of the contents were computed from the data. Fashion-MNIST and KMNIST:
 * the SHA-256 sums that torchvision lists (`prototype/datasets/_builtin/mnist.py`), the former beside the MD5 sums of
 * the publisher's README. CIFAR: the SHA-256 sums of TensorFlow Datasets; the publisher's page gives the MD5 sums
 * c32a1d4ab5d03f1284b67883e8d87530 and 03b5dce01913d631647c71ecec9e9cb8 for the same files.
 */
export const CATALOG: Readonly<Record<DownloadableName, CatalogEntry>> = {
  mnist: {
    title: "MNIST: handwritten digits, 28x28 grey, 60,000 + 10,000",
    url: "https://ossci-datasets.s3.amazonaws.com/mnist/",
    licence: "CC BY-SA 3.0 (Y. LeCun, C. Cortes)",
    classes: DIGITS,
    files: [
      {
        name: "train-images-idx3-ubyte.gz",
        size: 9_912_422,
        sha256: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        contentSha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
      },
      {
        name: "train-labels-idx1-ubyte.gz",
        size: 28_881,
        sha256: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        contentSha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
      },
      {
        name: "t10k-images-idx3-ubyte.gz",
        size: 1_648_877,
        sha256: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        contentSha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
      },
      {
        name: "t10k-labels-idx1-ubyte.gz",
        size: 4_542,
        sha256: "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        contentSha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
      },
    ],
  },
  "fashion-mnist": {
    title: "Fashion-MNIST: clothes, 28x28 grey, 60,000 + 10,000",
    url: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    licence: "MIT (Zalando SE)",
    classes: [
      "T-shirt/top",
      "trouser",
      "pullover",
      "dress",
      "coat",
      "sandal",
      "shirt",
      "sneaker",
      "bag",
      "ankle boot",
    ],
    files: [
      {
        name: "train-images-idx3-ubyte.gz",
        size: 26_421_880,
        sha256: "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
      },
      {
        name: "train-labels-idx1-ubyte.gz",
        size: 29_515,
        sha256: "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
      },
      {
        name: "t10k-images-idx3-ubyte.gz",
        size: 4_422_102,
        sha256: "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
      },
      {
        name: "t10k-labels-idx1-ubyte.gz",
        size: 5_148,
        sha256: "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
      },
    ],
  },
  kmnist: {
    title: "KMNIST: cursive Japanese characters, 28x28 grey, 60,000 + 10,000",
    url: "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
    licence: "CC BY-SA 4.0 (ROIS-DS Center for Open Data in the Humanities)",
    classes: "o ki su tsu na ha ma ya re wo".split(" "),
    files: [
      {
        name: "train-images-idx3-ubyte.gz",
        size: 18_165_135,
        sha256: "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
      },
      {
        name: "train-labels-idx1-ubyte.gz",
        size: 29_497,
        sha256: "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
      },
      {
        name: "t10k-images-idx3-ubyte.gz",
        size: 3_041_136,
        sha256: "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
      },
      {
        name: "t10k-labels-idx1-ubyte.gz",
        size: 5_120,
        sha256: "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
      },
    ],
  },
  cifar10: {
    title: "CIFAR-10: photographs, 32x32 colour, 10 classes, 50,000 + 10,000",
    url: "https://www.cs.toronto.edu/~kriz/",
    licence:
      "no licence stated; cite A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    classes: "airplane automobile bird cat deer dog frog horse ship truck".split(" "),
    files: [
      {
        name: "cifar-10-binary.tar.gz",
        size: 170_052_171,
        sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
      },
    ],
  },
  cifar100: {
    title: "CIFAR-100: photographs, 32x32 colour, 100 classes, 50,000 + 10,000",
    url: "https://www.cs.toronto.edu/~kriz/",
    licence:
      "no licence stated; cite A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    classes: (
      "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can " +
      "castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin " +
      "elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster " +
      "man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck " +
      "pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk " +
      "skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger " +
      "tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm"
    ).split(" "),
    files: [
      {
        name: "cifar-100-binary.tar.gz",
        size: 168_513_733,
        sha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
      },
    ],
  },
};

/**
 * The name, known to be one of the catalogue's.
 *
 * @throws InputError for any other name.
 */
export function downloadable(name: string): DownloadableName {
  const found = DOWNLOADABLE.find((known) => known === name);
  if (found === undefined) {
    throw new InputError(
      `data set "${name}": nothing to download is known by that name. Data sets: ${DOWNLOADABLE.join(", ")}.`,
    );
  }
  return found;
}
