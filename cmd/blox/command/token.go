package command

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
	"github.com/blox/blox/internal/access"
)

func newTokenCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "token", Aliases: []string{"tokens"}, Short: "Create bearer tokens for the access files of the services",
	}
	cmd.AddCommand(newTokenCreate(a))
	return cmd
}

func newTokenCreate(a *app) *cobra.Command {
	var role, out string
	var expires time.Duration
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Create a token, and its line for an access file",
		Long: `Create a token, and its line for the file that --access-file of the services names. The line holds the SHA-256
of the token, not the token. Add it below "tokens:"; the services reload the file. No service is called.

Roles: viewer reads, operator also acts on existing environments, admin also creates and deletes them.`,
		Example: `  blox token create grafana --role viewer
  blox token create ci --role operator --expires-after 2160h --out ci.token`,
		Args: positionalArgs("NAME"), ValidArgsFunction: noFiles,
	}
	flags := cmd.Flags()
	flags.StringVar(&role, "role", "", "`role` of the token: viewer, operator or admin (required)")
	flags.DurationVar(&expires, "expires-after", 0,
		"`duration` after which the token is invalid, such as 2160h; 0 for never")
	flags.StringVar(&out, "out", "", "write the token to this new `file` and only its line to the output")
	_ = cmd.RegisterFlagCompletionFunc("role", fixed(access.RoleNames...))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		entry := access.Token{Name: args[0]}
		var err error
		if entry.Role, err = access.ParseRole(role); err != nil {
			return &usageError{cmd, fmt.Errorf("--role: %w", err)}
		}
		if err := access.CheckName(entry.Name); err != nil {
			return &usageError{cmd, err}
		}
		if expires < 0 {
			return &usageError{cmd, fmt.Errorf("--expires-after %s: must not be negative", expires)}
		}
		if expires > 0 {
			entry.Expires = time.Now().Add(expires).UTC().Truncate(time.Second)
		}
		return a.createToken(entry, out)
	}
	return cmd
}

// createdToken is a new token, and its entry in an access file.
type createdToken struct {
	Token string       `json:"token,omitempty"` // empty if a file has it
	Entry access.Token `json:"entry"`
}

func (a *app) createToken(entry access.Token, out string) error {
	created := createdToken{access.NewToken(), entry}
	created.Entry.SHA256 = access.Hash(created.Token)
	if out != "" {
		if err := writeNew(out, created.Token+"\n"); err != nil {
			return fmt.Errorf("--out: %w", err)
		}
		created.Token = ""
	}
	return a.print(created, func(show.Style) printable { return created })
}

// Write prints the token, and its line for an access file.
func (c createdToken) Write(w io.Writer, _ show.Style) error {
	line := fmt.Sprintf("  - {name: %q, role: %s, sha256: %s", c.Entry.Name, c.Entry.Role, c.Entry.SHA256)
	if !c.Entry.Expires.IsZero() {
		line += ", expires: " + c.Entry.Expires.Format(time.RFC3339)
	}
	line += "}\n"
	if c.Token != "" {
		line = "Token, which is not shown again:\n" + c.Token + "\n\nLine for the access file, below \"tokens:\"\n" + line
	}
	_, err := io.WriteString(w, line)
	return err
}

// writeNew writes a file that only its owner may read. It replaces none.
func writeNew(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists: choose another file", path)
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(file, text)
	return errors.Join(err, file.Close())
}

// applyToken selects the token of requests: that of --token-file, BLOX_TOKEN, BLOX_TOKEN_FILE or the context, in this
// order. The token of a context is for the endpoints of that context.
func (a *app) applyToken(flags *pflag.FlagSet, saved connect.Context) {
	switch {
	case flags.Changed("token-file"):
	case a.Getenv("BLOX_TOKEN") != "":
		a.cfg.Token, a.cfg.TokenFile = strings.TrimSpace(a.Getenv("BLOX_TOKEN")), ""
	case a.cfg.TokenFile != "":
	case !a.isOverridden(flags, "endpoint", "BLOX_ENDPOINT") &&
		!a.isOverridden(flags, "css-endpoint", "BLOX_CSS_ENDPOINT"):
		a.cfg.Token, a.cfg.TokenFile = saved.Token, saved.TokenFile
		if saved.Token != "" {
			a.tokenPath = connect.ContextsPath(a.Getenv)
		}
	}
	if a.cfg.TokenFile != "" {
		a.tokenPath = a.cfg.TokenFile
	}
}

// isOverridden reports whether a flag or its variable overrides the setting of a context.
func (a *app) isOverridden(flags *pflag.FlagSet, flag, variable string) bool {
	return flags.Changed(flag) || variable != "" && a.Getenv(variable) != ""
}

// warnIfReadable warns if users other than the owner may read a file with a token. A missing file is no concern.
func (a *app) warnIfReadable(path string) {
	info, err := os.Stat(path)
	if err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		fmt.Fprintf(a.Err, "Warning: other users may access %s, which has a token. Run: chmod 600 %s\n", path, path)
	}
}
