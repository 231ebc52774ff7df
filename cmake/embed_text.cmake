# cmake -DINPUTS=a|b -DVARIABLE=name -DOUTPUT=file.cpp -P embed_text.cmake: the files' text, one after the other, as a
# raw literal.
string(REPLACE "|" ";" inputs "${INPUTS}")
set(literal)
foreach(input IN LISTS inputs)
  file(READ "${input}" text)
  string(FIND "${text}" ")text\"" taken)
  if(NOT taken EQUAL -1)
    message(FATAL_ERROR "${input} holds the end of a raw literal.")
  endif()
  string(APPEND literal "R\"text(${text})text\"\n")
endforeach()
if(NOT literal)
  set(literal "\"\"\n")
endif()
file(WRITE "${OUTPUT}" "#include \"instantnet/report/assets.h\"

namespace instantnet::report {

const std::string_view ${VARIABLE} =
${literal};

}  // namespace instantnet::report
")
