// Runs something that must refuse, and hands back its sentence.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "instantnet/core/error.h"

namespace instantnet {

/// The message of the Error `run` throws; a test failure and an empty text when it throws none.
template <class Run>
std::string error_of(Run run) {
  try {
    run();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "no Error was thrown";
  return {};
}

}  // namespace instantnet
