import { styleText } from 'node:util';

/** Gives the text in a style, or as it is. */
export type Paint = (style: 'bold' | 'cyan' | 'dim' | 'green' | 'red' | 'yellow', text: string) => string;

/** Colours where a person looks and wants them: on a terminal, without NO_COLOR. */
export function paintFor(stream: NodeJS.WriteStream): Paint {
  return (style, text) => styleText(style, text, { stream });
}
