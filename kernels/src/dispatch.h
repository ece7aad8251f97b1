// Which instruction sets this processor has, and the table of functions for one of them.
#pragma once
#include "operators.h"

namespace bark {

const Operators& avx2();
const Operators& avx512vnni();

/// The instruction sets that this processor has, best first, separated by spaces; empty if it has none of ours.
const char* instruction_sets();

/// The functions of an instruction set, by its name; nullptr if this processor does not have it.
const Operators* operators(const char* name);

}  // namespace bark
