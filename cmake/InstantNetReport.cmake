# The report's page: style, scripts and chart library become part of the program.

set(report_tools "${PROJECT_SOURCE_DIR}/build/report-tools")
# Looked for again each time while it is missing; tools/setup.sh puts it there.
find_file(INSTANTNET_ECHARTS echarts.min.js
  PATHS "${report_tools}/node_modules/echarts/dist" "${PROJECT_BINARY_DIR}/node_modules/echarts/dist"
  NO_DEFAULT_PATH DOC "Apache ECharts, one file (npm package echarts, dist/echarts.min.js)")

# In the order in which they are joined.
set(report_scripts format dom table chart header accuracy training search network mapping layer deployment
  budget provenance main)
set(report_styles base parts print)

# instantnet_embed(TARGET VARIABLE FILE...): std::string_view instantnet::report::VARIABLE with the joined files.
function(instantnet_embed target variable)
  set(made "${PROJECT_BINARY_DIR}/report/${variable}.cpp")
  string(JOIN "|" inputs ${ARGN})
  add_custom_command(OUTPUT "${made}"
    COMMAND "${CMAKE_COMMAND}" "-DINPUTS=${inputs}" "-DVARIABLE=${variable}" "-DOUTPUT=${made}"
            -P "${PROJECT_SOURCE_DIR}/cmake/embed_text.cmake"
    DEPENDS ${ARGN} "${PROJECT_SOURCE_DIR}/cmake/embed_text.cmake" VERBATIM
    COMMENT "Embedding ${variable}")
  target_sources(${target} PRIVATE "${made}")
  # The standard promises 65,536 characters a literal; compilers take more.
  set_source_files_properties("${made}" PROPERTIES COMPILE_OPTIONS "-Wno-overlength-strings")
endfunction()

function(instantnet_embed_page target)
  set(page "${PROJECT_SOURCE_DIR}/src/instantnet/report/page")
  list(TRANSFORM report_scripts REPLACE "(.+)" "${page}/\\1.js" OUTPUT_VARIABLE scripts)
  list(TRANSFORM report_styles REPLACE "(.+)" "${page}/\\1.css" OUTPUT_VARIABLE styles)
  instantnet_embed(${target} kPageHtml "${page}/page.html")
  instantnet_embed(${target} kPageStyle ${styles})
  instantnet_embed(${target} kPageScript ${scripts})
  if(INSTANTNET_ECHARTS)
    instantnet_embed(${target} kCharts "${INSTANTNET_ECHARTS}")
  else()
    message(STATUS "report: no chart library (npm package echarts); run tools/setup.sh, or set INSTANTNET_ECHARTS "
                   "to its echarts.min.js. 'instantnet report' will say so; --json works without.")
    instantnet_embed(${target} kCharts)
  endif()
endfunction()
