# The program's part of an installation, and .deb packages of all of it: instantnet, or instantnet-light from a build without torch.
set(package instantnet)
set(other instantnet-light)
if(NOT INSTANTNET_TORCH)
  set(package instantnet-light)
  set(other instantnet)
endif()

# What the program writes about itself. Not where it cannot run or says more than that.
set(pages "${PROJECT_BINARY_DIR}/pages")
set(doc_folder "${CMAKE_INSTALL_DATAROOTDIR}/doc/${package}")
find_program(INSTANTNET_GZIP gzip)
if(INSTANTNET_GZIP AND NOT CMAKE_CROSSCOMPILING AND NOT INSTANTNET_SANITIZE)
  add_custom_command(OUTPUT "${pages}/instantnet.1.gz" "${pages}/instantnet" "${pages}/_instantnet"
    COMMAND ${CMAKE_COMMAND} -E make_directory "${pages}"
    COMMAND instantnet completion bash > "${pages}/instantnet"
    COMMAND instantnet completion zsh > "${pages}/_instantnet"
    COMMAND instantnet pages man > "${pages}/instantnet.1"
    COMMAND "${INSTANTNET_GZIP}" -9nf "${pages}/instantnet.1"
    DEPENDS instantnet COMMENT "Manual page and completions" VERBATIM)
  add_custom_command(OUTPUT "${pages}/changelog.gz"
    COMMAND ${CMAKE_COMMAND} -E make_directory "${pages}"
    COMMAND "${INSTANTNET_GZIP}" -9nc "${PROJECT_SOURCE_DIR}/CHANGELOG.md" > "${pages}/changelog.gz"
    DEPENDS "${PROJECT_SOURCE_DIR}/CHANGELOG.md" COMMENT "Changelog" VERBATIM)
  add_custom_target(instantnet_pages ALL DEPENDS "${pages}/instantnet.1.gz" "${pages}/changelog.gz")
  install(FILES "${pages}/instantnet.1.gz" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1" COMPONENT program)
  install(FILES "${pages}/instantnet" DESTINATION "${CMAKE_INSTALL_DATAROOTDIR}/bash-completion/completions" COMPONENT program)
  # Debian's zsh looks into the second one below /usr, and into the first below /usr/local.
  foreach(folder site-functions vendor-completions)
    install(FILES "${pages}/_instantnet" DESTINATION "${CMAKE_INSTALL_DATAROOTDIR}/zsh/${folder}" COMPONENT program)
  endforeach()
  install(FILES "${pages}/changelog.gz" DESTINATION "${doc_folder}" COMPONENT program)
endif()
install(TARGETS instantnet RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT program)
install(FILES LICENSE DESTINATION "${doc_folder}" RENAME copyright COMPONENT program)
install(FILES README.md DESTINATION "${doc_folder}" COMPONENT program)
install(DIRECTORY docs DESTINATION "${doc_folder}" COMPONENT program FILES_MATCHING
  PATTERN "*.md" PATTERN "*.svg")

# `cpack` in the build folder makes the package.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME ${package})
set(CPACK_PACKAGE_VENDOR InstantNet)
set(CPACK_PACKAGE_CONTACT "the InstantNet developers")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "networks that switch their bit-width between two inferences")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"Trains convolutional networks that run at any of several bit-widths, maps them
to accelerators with a proof of how good that is, and runs them as integers.
This package has the program, the libraries and their headers.")
if(INSTANTNET_TORCH)
  set(CPACK_DEBIAN_PACKAGE_PROVIDES "${other} (= ${PROJECT_VERSION})")
else()
  string(APPEND CPACK_PACKAGE_DESCRIPTION_SUMMARY " (without torch)")
  set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"Maps convolutional networks to accelerators with a proof of how good that is,
and runs frozen networks as integers. What trains them, and needs libtorch, is
in the package instantnet, which takes the place of this one.")
endif()
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_RESOURCE_FILE_LICENSE "${PROJECT_SOURCE_DIR}/LICENSE")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_CONFLICTS ${other})
set(CPACK_DEBIAN_PACKAGE_REPLACES ${other})
# Depends: what the libraries and the program are linked with.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS "${PROJECT_BINARY_DIR}/dist")
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
