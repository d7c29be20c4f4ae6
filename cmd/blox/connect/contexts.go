package connect

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Context is a named set of connection settings. Its fields are those of Config.
type Context struct {
	Endpoint    string `yaml:"endpoint,omitempty" json:"endpoint,omitempty"`
	CSSEndpoint string `yaml:"cssEndpoint,omitempty" json:"cssEndpoint,omitempty"`
	CA          string `yaml:"ca,omitempty" json:"ca,omitempty"`
	Cert        string `yaml:"cert,omitempty" json:"cert,omitempty"`
	Key         string `yaml:"key,omitempty" json:"key,omitempty"`
	TokenFile   string `yaml:"tokenFile,omitempty" json:"tokenFile,omitempty"`
	Token       string `yaml:"token,omitempty" json:"-"` // a secret
	SigV4       bool   `yaml:"sigv4,omitempty" json:"sigv4,omitempty"`
	Region      string `yaml:"region,omitempty" json:"region,omitempty"`
}

// Contexts is the configuration file of blox.
type Contexts struct {
	Current  string             `yaml:"currentContext,omitempty"`
	Contexts map[string]Context `yaml:"contexts,omitempty"`
}

// ContextsPath returns the path of the configuration file: BLOX_CONFIG, else blox/config.yml in the user's
// configuration directory; empty if there is no such directory.
func ContextsPath(getenv func(string) string) string {
	if path := getenv("BLOX_CONFIG"); path != "" {
		return path
	}
	directory := getenv("XDG_CONFIG_HOME")
	if home := getenv("HOME"); directory == "" && home != "" {
		directory = filepath.Join(home, ".config")
	}
	if directory == "" {
		return ""
	}
	return filepath.Join(directory, "blox", "config.yml")
}

// ReadContexts reads the configuration file. A missing file has no contexts.
func ReadContexts(path string) (Contexts, error) {
	contexts := Contexts{Contexts: map[string]Context{}}
	if path == "" {
		return contexts, nil
	}
	body, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return contexts, nil
	}
	if err != nil {
		return contexts, err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(body))
	decoder.KnownFields(true)
	if err := decoder.Decode(&contexts); err != nil && len(bytes.TrimSpace(body)) > 0 {
		return contexts, fmt.Errorf("%s: %w", path, err)
	}
	if contexts.Contexts == nil {
		contexts.Contexts = map[string]Context{}
	}
	return contexts, nil
}

// Names returns the names of all contexts, sorted.
func (c Contexts) Names() (names []string) {
	for name := range c.Contexts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Get returns a context by name.
func (c Contexts) Get(name string) (Context, error) {
	context, known := c.Contexts[name]
	if !known && len(c.Contexts) == 0 {
		return context, fmt.Errorf("context %q does not exist: \"blox context set %s\" creates it", name, name)
	}
	if !known {
		return context, fmt.Errorf("context %q does not exist; accepted: %s", name, strings.Join(c.Names(), ", "))
	}
	return context, nil
}

// Write replaces the configuration file. Only its owner may read it.
func (c Contexts) Write(path string) error {
	if path == "" {
		return errors.New("no configuration directory: set BLOX_CONFIG or HOME")
	}
	body, err := yaml.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode contexts: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".config-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // fails after the rename, as it should
	_, err = file.Write(body)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(file.Name(), path)
}
