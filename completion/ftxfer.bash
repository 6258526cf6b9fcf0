# shellcheck shell=bash
# bash completion for ftxfer: commands, options, aliases, local names.
# The options are those that `ftxfer COMMAND --print-options` names, the aliases of --print-aliases.

_ftxfer_aliases() {
	"$1" "$2" --print-aliases 2>/dev/null | while IFS= read -r name; do
		printf '%s:\n' "$name"
	done
}

_ftxfer_options() {
	"$1" "$2" --print-options 2>/dev/null | while read -r name rest; do
		[[ $rest == *hidden* ]] || printf -- '--%s\n' "${name//_/-}"
	done
}

_ftxfer() {
	local commands='put get ls stat mkdir rm mv sum sync verify help'
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$word")
		return
	fi
	case $command in
	help)
		mapfile -t COMPREPLY < <(compgen -W "${commands% help}" -- "$word")
		return
		;;
	put | get | ls | stat | mkdir | rm | mv | sum | sync | verify) ;;
	*) return ;;
	esac
	case $before in
	--digest)
		mapfile -t COMPREPLY < <(compgen -W 'xxh128 sha256' -- "$word")
		return
		;;
	-o | --output)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		compopt -o filenames
		return
		;;
	-j | --jobs | --retry-time | --connect-timeout | --tcp-congestion | --aliases) return ;;
	esac
	if [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_ftxfer_options "${COMP_WORDS[0]}" "$command")" -- "$word")
		return
	fi
	# A colon ends a word: what is behind it is on a server.
	if [[ $word == : || $before == : ]]; then
		return
	fi
	mapfile -t COMPREPLY < <(compgen -W "$(_ftxfer_aliases "${COMP_WORDS[0]}" "$command")" -- "$word")
	if [[ ${COMPREPLY[0]-} == *: ]]; then
		compopt -o nospace
	fi
	case $command in
	put | sync | verify)
		local names
		mapfile -t names < <(compgen -f -- "$word")
		COMPREPLY+=("${names[@]}")
		((${#names[@]} > 0)) && compopt -o filenames
		;;
	esac
}

complete -F _ftxfer ftxfer
