package main

import (
	"io"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestAWrongCommandLineIsAnsweredWithOneLineThatPointsToHelp(t *testing.T) {
	for line, want := range map[string]string{
		"statu":                 `unknown command "statu" (did you mean status?): see portico --help`,
		"nonsense":              `unknown command "nonsense": see portico --help`,
		"status extra":          `status takes flags only, not "extra": see portico status --help`,
		"apiservices extra":     `apiservices takes flags only, not "extra": see portico apiservices --help`,
		"version extra":         `version takes flags only, not "extra": see portico version --help`,
		"serve extra":           `serve takes flags only, not "extra": see portico serve --help`,
		"status --no-such-flag": "unknown flag: --no-such-flag: see portico status --help",
		"--no-such-flag":        "unknown flag: --no-such-flag: see portico --help",
		"trace":                 `trace takes one path, not []: see portico trace --help`,
		"backup":                `backup takes one file, not []: see portico backup --help`,
		"restore a b":           `restore takes one file, not ["a" "b"]: see portico restore --help`,
		"unregister":            `unregister takes one GROUP/VERSION, not []: see portico unregister --help`,
	} {
		t.Run(line, func(t *testing.T) {
			command := NewAPIServerCommand()
			command.SetArgs(strings.Fields(line))
			command.SetOut(io.Discard)
			command.SetErr(io.Discard)
			if err := command.ExecuteContext(t.Context()); err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
}

func TestAFlagThatMayStandAloneIsGivenItsValueWithAnEqualsSign(t *testing.T) {
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	var o options
	o.addUserFlags(flags)
	for line, want := range map[string]string{
		"serve --anonymous-auth false":                         ": write --anonymous-auth=false",
		"serve --token-auth-file f --anonymous-auth true":      ": write --anonymous-auth=true",
		"serve --token-auth-file false --anonymous-auth false": ": write --anonymous-auth=false",
		"serve false":                       "",
		"serve --token-auth-file=f false":   "",
		"serve --anonymous-auth=true false": "",
		"serve --anonymous-auth no":         "",
	} {
		words := strings.Fields(line)
		if got := meantAsValue(flags, words, words[len(words)-1]); got != want {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
}
