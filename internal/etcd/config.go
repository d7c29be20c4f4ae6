package etcd

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/blox/blox/internal/tlsconfig"
)

// Config holds the endpoints of etcd and the credentials for it.
type Config struct {
	// --etcd-endpoint, once for each: host:port, http://host:port or https://host:port, all of one scheme
	Endpoints    []string
	TLS          tlsconfig.Files // --etcd-ca, --etcd-cert, --etcd-key
	User         string          // --etcd-user
	Password     Secret          // only from the environment, as every user of the machine can read flags
	PasswordFile string          // --etcd-password-file, instead of Password; read for every sign-in
}

// Secret is a text that logs and messages do not show.
type Secret string

// Format implements fmt.Formatter for every verb.
func (Secret) Format(to fmt.State, _ rune) { _, _ = io.WriteString(to, "(secret)") }

// MarshalText implements encoding.TextMarshaler.
func (Secret) MarshalText() ([]byte, error) { return []byte("(secret)"), nil }

// Flags defines the flags of Config. The names of its variables begin with prefix: CSS for CSS_ETCD_ENDPOINTS, and so
// on.
func (c *Config) Flags(flags *flag.FlagSet, prefix string, getenv func(string) string) {
	variables := prefix + "_ETCD"
	if all := getenv(variables + "_ENDPOINTS"); all != "" {
		c.Endpoints = strings.Split(all, ",")
	}
	given := false
	const usage = "address of etcd, `host:port` or https://host:port; repeat it for each member"
	flags.Func("etcd-endpoint", usage, func(s string) error {
		if !given {
			c.Endpoints, given = nil, true
		}
		c.Endpoints = append(c.Endpoints, s)
		return nil
	})
	c.TLS.ClientFlags(flags, "etcd", variables, getenv)
	flags.StringVar(
		&c.User, "etcd-user", getenv(variables+"_USER"),
		"`name` of etcd's user; the password is in "+variables+"_PASSWORD, or in a file",
	)
	flags.StringVar(
		&c.PasswordFile, "etcd-password-file", getenv(variables+"_PASSWORD_FILE"), "`file` with the password of --etcd-user",
	)
	c.Password = Secret(getenv(variables + "_PASSWORD"))
}

// Validate returns every missing or invalid setting, by flag; none if New accepts the configuration.
func (c Config) Validate() (problems []string) {
	if len(c.Endpoints) == 0 {
		problems = append(problems, "--etcd-endpoint is missing: host:port of etcd")
	} else if err := ValidateEndpoints(c.Endpoints); err != nil {
		problems = append(problems, "--etcd-endpoint: "+strings.ReplaceAll(err.Error(), "\n", "; "))
	} else if err := c.TLS.ValidateClient("etcd", c.https()); err != nil {
		problems = append(problems, err.Error())
	}
	switch {
	case c.Password != "" && c.PasswordFile != "":
		problems = append(problems, "--etcd-password-file and a password in the environment are mutually exclusive")
	case (c.User == "") != (c.Password == "" && c.PasswordFile == ""):
		problems = append(problems,
			"--etcd-user and a password, in --etcd-password-file or the environment, must be set together")
	}
	return problems
}

func (c Config) https() bool {
	return len(c.Endpoints) > 0 && strings.HasPrefix(c.Endpoints[0], "https://")
}

// password reads the file each time, as files with secrets are replaced.
func (c Config) password() (string, error) {
	if c.PasswordFile == "" {
		return string(c.Password), nil
	}
	read, err := os.ReadFile(c.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("etcd password: %w", err)
	}
	password := strings.TrimRight(string(read), "\r\n")
	if password == "" {
		return "", errors.New("etcd password: the file is empty")
	}
	return password, nil
}
