// ropeFields: the rotary base of a config.json, in the older and in the newer form; scaled angles are refused.

import { z } from 'zod'

const notScaled = 'expected no scaling of the rotary angles, which has no equal here'

/** `rope_parameters` of newer files: of the default kind, or refused. */
export const ropeParameters = z.looseObject({
  rope_type: z.literal('default', notScaled).optional(),
  rope_theta: z.number().optional(),
})

/** The older fields of LLaMA's relatives. */
export const ropeFields = {
  rope_theta: z.number().nullish(),
  rope_scaling: z.null(notScaled).optional(),
  rope_parameters: ropeParameters.nullish(),
}
