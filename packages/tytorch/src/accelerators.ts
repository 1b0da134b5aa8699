// What ported programs ask before they choose a device: there is the CPU alone, and these say so.
import { RuntimeError } from './base/errors.ts'

/** `torch.cuda`: no such device, so that `torch.cuda.isAvailable() ? 'cuda' : 'cpu'` chooses the CPU. */
export const cuda = {
  /** False. */
  isAvailable: (): boolean => false,
  /** 0. */
  deviceCount: (): number => 0,
} as const

/** `torch.accelerator`: none. */
export const accelerator = {
  /** False. */
  isAvailable: (): boolean => false,
  /** 0. */
  deviceCount: (): number => 0,
  /** Null: there is none. */
  currentAccelerator: (): null => null,
  /** Throws RuntimeError, for there is none. */
  currentDeviceIndex(): never {
    throw new RuntimeError('Cannot access accelerator device when none is available.')
  },
} as const

/** `torch.backends`. */
export const backends = {
  /** Apple's GPUs. */
  mps: {
    /** False. */
    isAvailable: (): boolean => false,
    /** False. */
    isBuilt: (): boolean => false,
  },
} as const
