# Which of the runtime's kernels are built, by processor.

# instantnet_choose_kernels(TARGET): leaves out the files of other processors.
function(instantnet_choose_kernels target)
  get_target_property(sources ${target} SOURCES)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
    list(FILTER sources EXCLUDE REGEX "/(neon_[a-z_]+|native_(arm|none))\\.cpp$")
    set(avx512 ${sources})
    list(FILTER avx512 INCLUDE REGEX "/avx512_[a-z]+\\.cpp$")
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      # g++ 12 finds its own intrinsics' deliberately undefined registers.
      set_source_files_properties(${avx512} PROPERTIES
        COMPILE_OPTIONS "-Wno-uninitialized;-Wno-maybe-uninitialized")
    elseif(INSTANTNET_SANITIZE)
      # Sanitizers keep clang from unrolling some loops.
      set_source_files_properties(${avx512} PROPERTIES COMPILE_OPTIONS "-Wno-pass-failed")
    endif()
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
    list(FILTER sources EXCLUDE REGEX "/(avx(2|512)_[a-z]+|native_(x86|none))\\.cpp$")
  else()
    list(FILTER sources EXCLUDE REGEX "/(avx(2|512)_[a-z]+|neon_[a-z_]+|native_(x86|arm))\\.cpp$")
  endif()
  set_target_properties(${target} PROPERTIES SOURCES "${sources}")
endfunction()
