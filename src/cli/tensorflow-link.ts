import type { Command } from "commander";
import { InputError } from "../errors.ts";
import type { LinkPlan } from "../tensorflow-link/link.ts";
import { quietOption } from "./options.ts";
import { print } from "./print.ts";
import { Progress } from "./progress.ts";

interface Options {
  python?: string;
  from?: string;
  gpu?: boolean;
  undo?: boolean;
  quiet?: boolean;
}

export function addTensorflowLink(program: Command, signal: AbortSignal): void {
  program
    .command("tensorflow-link")
    .description('Makes the backend "tensorflow" compute with the TensorFlow that Python has on this machine.')
    .option("--python <program>", "the Python that has tensorflow (default: python3 on the PATH)")
    .option("--from <dir>", "or the folder of TensorFlow's library: Python's package, or the unpacked C library")
    .option("--gpu", "link @tensorflow/tfjs-node-gpu, with a TensorFlow that was built for CUDA")
    .option("--undo", "restore what was there before")
    .addOption(quietOption())
    .addHelpText(
      "after",
      `
npm's @tensorflow/tfjs-node downloads TensorFlow 2.9.1, of 2022: it knows no newer GPU, and often can't be downloaded.
Python's package has the same library, of today. This command fetches the npm package where it is missing (without its
install script), compiles its small addon against Python's library, tries it, and puts it in its place: half a minute.
It needs a C++ compiler. TensorFlow is used where it lies and not changed; where it is moved or removed, link again.

Examples:
  python3 -m venv tf && tf/bin/pip install tensorflow-cpu    a TensorFlow of its own, if there is none yet
  tfjs-diffusion tensorflow-link --python tf/bin/python
  tfjs-diffusion tensorflow-link --gpu                       with python3's tensorflow[and-cuda]
  tfjs-diffusion doctor                                      which library is in use, and whether it sees a GPU
  tfjs-diffusion tensorflow-link --undo`,
    )
    .action(async ({ python, from, gpu, undo, quiet }: Options) => {
      if (python !== undefined && from !== undefined) {
        throw new InputError("--python and --from both say where TensorFlow is: give one of them.");
      }
      const { link, missingPackages, planLink, undoLink } = await import("../tensorflow-link/link.ts");
      if (undo) {
        print(await undoLink({ gpu }));
        return;
      }
      const progress = new Progress({ quiet });
      try {
        const plan = await planLink({ python, from, gpu }, signal);
        progress.say(intent(plan, missingPackages(plan)));
        const { version, seesGpu, remarks } = await link(plan, {
          signal,
          onStep: (task, isDone) => progress.update(task, Number(isDone), 1),
        });
        progress.end();
        print(
          `The backend "tensorflow" computes with TensorFlow ${version} (${plan.library.files[0]}), ` +
            `${seesGpu ? "and sees a GPU" : "on the processor: it sees no GPU"}.`,
        );
        if (gpu && !seesGpu) progress.warn(noGpu(remarks));
      } finally {
        progress.end();
      }
    });
}

function intent({ library, compiler, place, headers }: LinkPlan, missing: readonly string[]): string {
  const version = library.version === undefined ? "" : ` ${library.version}`;
  const steps = [
    ...(missing.length > 0 ? [`fetch ${missing.join(" and ")} from npm, without install scripts`] : []),
    `compile the addon with ${compiler.description}${headers === undefined ? "" : `, Node's headers from ${headers}`}`,
    "start TensorFlow with it, to see that it loads",
    `put it into ${place.folder}${place.isInstalled ? ", and keep what is there for --undo" : ""}`,
  ];
  return [
    `Linking the backend "tensorflow" with TensorFlow${version} in ${library.folder}:`,
    ...steps.map((step, index) => `  ${index + 1}. ${step}`),
  ].join("\n");
}

/** TensorFlow's own words are long; those that name a library or CUDA's error say most. */
function noGpu(remarks: string): string {
  const telling = remarks.split("\n").filter((line) => /cuda|cudnn|gpu|dlopen/i.test(line));
  const words = telling.length > 0 ? ` It says: ${telling.at(-1)!.trim()}` : "";
  return (
    "TensorFlow sees no GPU. nvidia-smi shows whether the driver does; CUDA's libraries come with " +
    `"pip install tensorflow[and-cuda]".${words}`
  );
}
