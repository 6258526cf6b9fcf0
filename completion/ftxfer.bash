# shellcheck shell=bash
# bash completion for ftxfer: commands, options, aliases, local names.
# The options are those that `ftxfer COMMAND --print-options` names.

_ftxfer_aliases() {
	local file line
	for file in "${XDG_CONFIG_HOME:-$HOME/.config}/ftxfer/config" /etc/ftxfer.conf /usr/local/etc/ftxfer.conf; do
		[[ -r $file ]] || continue
		# Each "NAME=ftx://..." between the brackets of aliases.
		while read -r line; do
			[[ $line =~ ^\"[[:space:]]*([A-Za-z0-9._-]+)[[:space:]]*= ]] && printf '%s:\n' "${BASH_REMATCH[1]}"
		done < <(sed -n '/^[[:space:]]*aliases[[:space:]]*[=:]/,/;/p' "$file" | grep -o '"[^"]*"')
	done
}

_ftxfer_options() {
	"$1" "$2" --print-options 2>/dev/null | while read -r name _; do
		printf -- '--%s\n' "${name//_/-}"
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
	mapfile -t COMPREPLY < <(compgen -W "$(_ftxfer_aliases)" -- "$word")
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
