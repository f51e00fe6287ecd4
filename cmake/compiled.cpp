// The library's templates for float, compiled: normnet::compiled.
#define NORMNET_INSTANCES template
#include <normnet/instances.hpp>
