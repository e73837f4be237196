/** Effect 4 continues a fiber where it is resumed, so there is no scheduler to share. */
import * as Layer from "effect/Layer"

export const layer: Layer.Layer<never> = Layer.empty
