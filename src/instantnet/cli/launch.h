// What must be settled before any library starts: memory and threads of the process.
#pragma once

namespace instantnet::cli {

/// Once per process, first thing in main. Sets malloc up for large tensors that come and go, and
/// makes a file that gets too large for the shell's limit (ulimit -f) an error of writing. For
/// the verbs that compute with libtorch it also makes the threads of OpenMP sleep while they wait:
/// libgomp reads OMP_WAIT_POLICY before main runs, so when the variable is unset the program starts
/// itself once more with it set ("passive"). Spinning threads would take the processor from the
/// threads that prepare images. A value the user has set is kept. (No option of the program is an
/// environment variable; this one belongs to libgomp, which has no other switch.)
void prepare_process(int argc, char** argv);

}  // namespace instantnet::cli
