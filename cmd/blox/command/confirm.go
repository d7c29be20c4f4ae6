package command

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// addYes adds the flag --yes.
func addYes(cmd *cobra.Command, yes *bool) {
	cmd.Flags().BoolVarP(yes, "yes", "y", false, "skip the confirmation")
}

// errDeclined means that the user did not confirm. Nothing was changed.
var errDeclined = errors.New("not confirmed; nothing was deleted. Use --yes to confirm in scripts")

// confirm asks a question and returns errDeclined unless the answer is y or yes.
func (a *app) confirm(question string) error {
	fmt.Fprint(a.Err, question+" [y/N] ")
	line, err := bufio.NewReader(a.In).ReadString('\n')
	if err != nil {
		fmt.Fprintln(a.Err)
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return errDeclined
}
