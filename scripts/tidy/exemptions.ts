/** A rule that one file may break, with the reason. One that is needed no more is itself an error. */
export interface Exemption {
  readonly rule: string;
  readonly path: string;
  readonly reason: string;
}

/** Every exemption of the repository. */
export const EXEMPTIONS: readonly Exemption[] = [];
