package command

import (
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
)

// A flag of a command with the name of a global one would take its value, as --region of a signature.
func TestCommands_HideNoGlobalFlag(t *testing.T) {
	root := New(Program{Getenv: func(string) string { return "" }})
	global := root.PersistentFlags()
	var check func(cmd *cobra.Command)
	check = func(cmd *cobra.Command) {
		cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			hidden := global.Lookup(f.Name)
			assert.True(t, hidden == nil || hidden == f, "%s has a flag --%s of its own", cmd.CommandPath(), f.Name)
		})
		for _, child := range cmd.Commands() {
			check(child)
		}
	}
	check(root)
}
