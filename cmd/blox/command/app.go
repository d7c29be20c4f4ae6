package command

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
)

// commandFunc implements a command with the clients of the services.
type commandFunc func(ctx context.Context, c *connect.Clients, args []string) error

// run adapts do to cobra's RunE.
func (a *app) run(do commandFunc) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := connect.Open(cmd.Context(), a.cfg, a.Getenv)
		if err != nil {
			return err
		}
		defer c.Close()
		return do(cmd.Context(), c, args)
	}
}

// printable is output for people.
type printable interface {
	Write(io.Writer, show.Style) error
}

// style returns the style of output to out.
func (a *app) style(out io.Writer) show.Style {
	style := show.StyleFor(out, a.Getenv)
	style.Output = a.output
	style.Wide = style.Wide || style.Format == show.Name // names are whole ARNs
	return style
}

// print prints value in a structured format, or what people returns as a table.
func (a *app) print(value any, people func(show.Style) printable) error {
	style := a.style(a.Out)
	if style.Structured() {
		return style.Encode(a.Out, value)
	}
	return people(style).Write(a.Out, style)
}

// list is print for a list; if it is empty, it prints the text none.
func (a *app) list(value any, none string, people func(show.Style) *show.Rows) error {
	style := a.style(a.Out)
	if style.Structured() {
		return style.Encode(a.Out, value)
	}
	rows := people(style)
	if a.changes != nil {
		if err := rows.Sort(style); err != nil {
			return err
		}
		return a.changes.Write(a.Out, rows, style)
	}
	if len(rows.Cells) == 0 {
		if err := rows.Sort(style); err != nil {
			return err
		}
		_, err := fmt.Fprintln(a.Err, none)
		return err
	}
	return rows.Write(a.Out, style)
}

// info prints a confirmation for people; programs get none.
func (a *app) info(format string, args ...any) {
	if a.output.Format == show.Table {
		fmt.Fprintf(a.Out, format+"\n", args...)
	}
}
