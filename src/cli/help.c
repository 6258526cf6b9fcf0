/* What there is to be asked for, and what was meant where something else was written. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/log.h"
#include "cli/commands.h"
#include "conf/nearest.h"

int
command_unknown(const char *word)
{
	struct nearest n = nearest_init(word);
	const char *meant = nearest_take(&n, "help") ? "help" : NULL;
	const struct command *command;
	char quoted[LOG_QUOTE_SIZE];

	for (size_t i = 0; (command = command_at(i)) != NULL; i++) {
		if (nearest_take(&n, command->name))
			meant = command->name;
	}
	log_quote(quoted, sizeof(quoted), word, strlen(word));
	if (meant != NULL)
		log_error(
		    "there is no command %s; did you mean %s? (try ftxfer help)", quoted, meant);
	else
		log_error("there is no command %s (try ftxfer help)", quoted);
	return EX_USAGE;
}

static int
list_commands(void)
{
	const struct command *command;

	printf("usage: ftxfer COMMAND [OPTION...] NAME...\n\n");
	for (size_t i = 0; (command = command_at(i)) != NULL; i++)
		printf("  %-7s %s\n", command->name, command->help);
	printf("\nftxfer help COMMAND says more; ftxfer version says which one this is.\n"
	       "Without a command ftxfer speaks version 1 of the protocol: ftxfer --help.\n");
	return option_print_end(stdout) ? EX_OK : EX_IOERR;
}

int
command_help(const char *word)
{
	static const char *const of_no_command[] = { "help", "version", "-h", "--help" };
	const struct command *command = word != NULL ? command_find(word) : NULL;
	char help[] = "--help", name[] = "help";
	char *args[] = { name, help, NULL };

	if (word == NULL)
		return list_commands();
	if (command != NULL)
		return command_main(command, 2, args);
	for (size_t i = 0; i < sizeof(of_no_command) / sizeof(of_no_command[0]); i++) {
		if (strcmp(word, of_no_command[i]) == 0)
			return list_commands();
	}
	return command_unknown(word);
}
