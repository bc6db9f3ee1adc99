package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagsOnly is for commands that take no arguments.
func flagsOnly(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return pointToHelp(cmd, fmt.Errorf("%s takes flags only, not %q%s", cmd.Name(), args[0], meantAsValue(cmd.Flags(), os.Args, args[0])))
}

// meantAsValue says how the flag before an argument on a command line is given that as its value, if it is one that may stand alone.
func meantAsValue(flags *pflag.FlagSet, line []string, argument string) string {
	if _, err := strconv.ParseBool(argument); err != nil {
		return ""
	}
	for i, word := range line[1:] {
		name, isFlag := strings.CutPrefix(line[i], "--")
		if f := flags.Lookup(name); word == argument && isFlag && f != nil && f.Value.Type() == "bool" {
			return fmt.Sprintf(": write --%s=%s", name, argument)
		}
	}
	return ""
}

// oneCommand says what may be meant by a command that there is not.
func oneCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	root.SuggestionsMinimumDistance = 2
	meant := ""
	if names := root.SuggestionsFor(args[0]); len(names) > 0 {
		meant = " (did you mean " + strings.Join(names, " or ") + "?)"
	}
	return pointToHelp(root, fmt.Errorf("unknown command %q%s", args[0], meant))
}

func oneFile(cmd *cobra.Command, args []string) error { return one("file", cmd, args) }

func oneGroupVersion(cmd *cobra.Command, args []string) error {
	return one("GROUP/VERSION", cmd, args)
}

func onePath(cmd *cobra.Command, args []string) error { return one("path", cmd, args) }

func one(what string, cmd *cobra.Command, args []string) error {
	if len(args) == 1 {
		return nil
	}
	return pointToHelp(cmd, fmt.Errorf("%s takes one %s, not %q", cmd.Name(), what, args))
}

// pointToHelp ends an answer to a wrong command line with where to read about the right ones.
func pointToHelp(cmd *cobra.Command, err error) error {
	return fmt.Errorf("%w: see %s --help", err, cmd.CommandPath())
}
