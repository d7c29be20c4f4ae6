package command

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
)

// action is what a command does with the clients of the services.
type action func(ctx context.Context, c *connect.Clients, args []string) error

// run makes a command's RunE of do.
func (a *app) run(do action) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := connect.Open(cmd.Context(), a.cfg, a.Getenv)
		if err != nil {
			return err
		}
		defer c.Close()
		return do(cmd.Context(), c, args)
	}
}

// written is what can be shown to people.
type written interface {
	Write(io.Writer, show.Style) error
}

// style is that of what is written to out.
func (a *app) style(out io.Writer) show.Style {
	style := show.StyleFor(out, a.Getenv)
	style.Format, style.Wide = show.Format(a.format), a.wide
	return style
}

// print shows value: in a form for programs as it is, or as what people makes of it.
func (a *app) print(value any, people func(show.Style) written) error {
	style := a.style(a.Out)
	if style.Format != show.Table {
		return show.Encode(a.Out, style.Format, value)
	}
	return people(style).Write(a.Out, style)
}

// list is print for what may be empty, of which none says so.
func (a *app) list(value any, none string, people func(show.Style) *show.Rows) error {
	style := a.style(a.Out)
	if style.Format != show.Table {
		return show.Encode(a.Out, style.Format, value)
	}
	rows := people(style)
	if len(rows.Cells) == 0 {
		_, err := fmt.Fprintln(a.Err, none)
		return err
	}
	return rows.Write(a.Out, style)
}

// note tells people what was done, where there is nothing to show.
func (a *app) note(format string, args ...any) {
	if show.Format(a.format) == show.Table {
		fmt.Fprintf(a.Out, format+"\n", args...)
	}
}
