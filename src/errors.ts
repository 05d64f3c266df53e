/**
 * A mistake in something that was given to us: a file, a configuration, an option. The message is one or two plain
 * sentences that say what is wrong, where, and what to do. The command line prints it without a stack trace and exits with 2.
 */
export class InputError extends Error {
  override name = "InputError";
}

/** A weights file that cannot be read, or does not fit the model. The message names the file's path. */
export class WeightsError extends InputError {
  override name = "WeightsError";
}

/** A configuration file with a field or value that is wrong or not supported. The message names the file and the field. */
export class ConfigError extends InputError {
  override name = "ConfigError";
}

/** Work that would not fit into the memory that is free, said before it is begun. */
export class MemoryError extends InputError {
  override name = "MemoryError";
}
