/** The reason of an abort that came from outside. */
export class Interrupt extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super("Stopped by a signal.");
    this.exitCode = exitCode;
  }
}

const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const;
type Signal = keyof typeof exitCodes;

/** Aborted by the first Ctrl-C or SIGTERM. Nobody catches the second, so it ends the process at once. */
export function heedSignals(): AbortSignal {
  const controller = new AbortController();
  const stop = (name: Signal): void => {
    for (const signal of Object.keys(exitCodes)) process.removeListener(signal, stop);
    controller.abort(new Interrupt(exitCodes[name]));
  };
  for (const signal of Object.keys(exitCodes)) process.on(signal, stop);
  return controller.signal;
}
