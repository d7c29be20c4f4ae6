package command

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"

	"github.com/blox/blox/internal/version"
)

func newManCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "man DIRECTORY", Short: "Write the man pages into a directory", Hidden: true,
		Long: `Write a man page for each command into a directory. SOURCE_DATE_EPOCH sets the date of the pages.`,
		Args: positionalArgs("DIRECTORY"), ValidArgsFunction: noFiles,
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		// The defaults in the pages are those of blox, not those of the environment that writes them.
		root := New(Program{In: a.In, Out: a.Out, Err: a.Err, Getenv: func(string) string { return "" }})
		root.DisableAutoGenTag = true
		root.InitDefaultCompletionCmd()
		if err := os.MkdirAll(args[0], 0o755); err != nil {
			return fmt.Errorf("create the directory of the man pages: %w", err)
		}
		return writeManPages(root, args[0])
	}
	return cmd
}

// writeManPages writes the pages of cmd and its subcommands.
func writeManPages(cmd *cobra.Command, directory string) error {
	for _, child := range cmd.Commands() {
		if !child.IsAvailableCommand() {
			continue
		}
		if err := writeManPages(child, directory); err != nil {
			return err
		}
	}
	cmd.Long = markdown(cmd.Long)
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		_, usage := pflag.UnquoteUsage(f)
		f.Usage = escapeMarkdown(usage)
	})
	var page bytes.Buffer
	header := doc.GenManHeader{Section: "1", Source: "Blox " + version.String(), Manual: "Blox"}
	if err := doc.GenMan(cmd, &header, &page); err != nil {
		return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
	}
	path := filepath.Join(directory, strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1")
	if err := os.WriteFile(path, []byte(portableRoff(page.String())), 0o644); err != nil {
		return fmt.Errorf("write a man page: %w", err)
	}
	return nil
}

// markdown returns a help text as Markdown: indented lines are a table or an example, the others flow.
func markdown(help string) string {
	var out strings.Builder
	indented := false
	for line := range strings.Lines(help) {
		if now := strings.HasPrefix(line, "  "); now != indented && strings.TrimSpace(line) != "" {
			indented = now
			out.WriteString("```\n")
		}
		if !indented {
			line = escapeMarkdown(line)
		}
		out.WriteString(line)
	}
	if indented {
		out.WriteString("\n```\n")
	}
	return out.String()
}

// escapeMarkdown returns text in which no character has a meaning in Markdown.
func escapeMarkdown(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `_`, `\_`, `<`, `\<`, `[`, `\[`, "`", "\\`").Replace(text)
}

var (
	option   = regexp.MustCompile(`(?m)^(?:\.PP\n)?(\\fB-.*?)(?:=""|\[=false\])?\n\t`)
	nonASCII = regexp.MustCompile(`[^\x00-\x7f]`)
)

// portableRoff indents the texts of flags, omits defaults that say nothing, and writes characters beyond ASCII in the
// notation of every roff.
func portableRoff(page string) string {
	page = option.ReplaceAllString(page, ".TP\n$1\n")
	return nonASCII.ReplaceAllStringFunc(page, func(character string) string {
		return fmt.Sprintf(`\[u%04X]`, []rune(character)[0])
	})
}
