#include "models/allocator_tuning.h"
#include "models/checkpoint_io.h"
#include "models/decoder.h"
