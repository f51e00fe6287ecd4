// The second translation unit.
#include "one_step.hpp"

StepResult other_step() { return one_step(); }
