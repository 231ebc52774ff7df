// Runs the program that is tested, and says what a test usually wants of it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cli/run_program.h"

namespace instantnet {

inline ProgramResult instantnet_program(const std::vector<std::string>& arguments) {
  return run_program(INSTANTNET_PROGRAM, arguments);
}

/// Standard output of a run that must succeed without a word on standard error.
inline std::string output_of(const std::vector<std::string>& arguments) {
  const ProgramResult result = instantnet_program(arguments);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.err, testing::IsEmpty());
  return result.out;
}

/// Standard error of a run that must end with the code of a user's mistake and print nothing else.
inline std::string complaint_of(const std::vector<std::string>& arguments) {
  const ProgramResult result = instantnet_program(arguments);
  EXPECT_EQ(result.code, 2) << result.out;
  EXPECT_THAT(result.out, testing::IsEmpty());
  return result.err;
}

}  // namespace instantnet
