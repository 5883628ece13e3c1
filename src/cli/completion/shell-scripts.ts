/** Before the candidates: any file fits as well. Nothing that can be typed begins with it. */
export const FILES_LINE = ":files";

/**
 * What each shell loads. All of them ask the executable itself, so that they know what its version knows; a line is a
 * candidate, a tab and what it is for.
 */
export const SHELL_SCRIPTS = {
  // Bash takes a word apart at colons and equals signs and replaces only its last part: what stands before that part is
  // cut from the candidates, and the words are read from the line itself.
  bash: `# bash completion of cortex
_cortex() {
  local line="\${COMP_LINE:0:COMP_POINT}" part="$2" whole head value rest
  local -a words
  read -ra words <<< "$line"
  case "$line" in *[[:space:]]) words+=("") ;; esac
  whole="\${words[\${#words[@]} - 1]}"
  whole="\${whole#[\\"\\']}"
  words[\${#words[@]} - 1]="$whole"
  head="\${whole%"$part"}"
  COMPREPLY=()
  while IFS=$'\\t' read -r value rest; do
    if [ "$value" = "${FILES_LINE}" ]; then
      compopt -o default
    else
      COMPREPLY+=("\${value#"$head"}")
    fi
  done < <("$1" __complete -- "\${words[@]:1}" 2> /dev/null)
}
complete -F _cortex cortex
`,
  // As a file of fpath it is the function itself; where it is sourced it registers the function.
  zsh: `#compdef cortex
# zsh completion of cortex
_cortex() {
  local line value
  local -a values shown
  for line in "\${(@f)$("\${(Q)words[1]}" __complete -- "\${(@Q)words[2,CURRENT]}" 2> /dev/null)}"; do
    value="\${line%%$'\\t'*}"
    case "$value" in
      "") ;;
      ${FILES_LINE}) _files; return ;;
      *)
        values+=("$value")
        shown+=("\${value}  \${line#*$'\\t'}")
        ;;
    esac
  done
  (( \${#values} )) && compadd -l -d shown -- "\${values[@]}"
}
if [ "\${funcstack[1]}" = _cortex ]; then
  _cortex "$@"
else
  compdef _cortex cortex
fi
`,
  fish: `# fish completion of cortex
function __cortex_complete
    set -l words (commandline -opc)
    set -l last (commandline -ct)
    set -l lines (command $words[1] __complete -- $words[2..-1] "$last" 2>/dev/null)
    if test "$lines[1]" = "${FILES_LINE}"
        __fish_complete_path "$last"
    else
        printf '%s\\n' $lines
    end
end
complete -c cortex -f -a '(__cortex_complete)'
`,
} as const;
