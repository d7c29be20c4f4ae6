package access

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"go.yaml.in/yaml/v3"
)

// File is an access file: who may use a service, and in which role.
type File struct {
	Tokens       []Token       `yaml:"tokens"`
	Certificates []Certificate `yaml:"certificates"`
}

// Token is a client that sends a bearer token.
type Token struct {
	Name    string    `yaml:"name" json:"name"` // for logs and events
	Role    Role      `yaml:"role" json:"role"`
	SHA256  string    `yaml:"sha256" json:"sha256"`                      // of the token, in hexadecimal digits
	Expires time.Time `yaml:"expires,omitempty" json:"expires,omitzero"` // zero for never
}

// Certificate is a client that presents a certificate with these names in its subject. An empty name matches any.
type Certificate struct {
	CommonName         string `yaml:"commonName,omitempty"`
	OrganizationalUnit string `yaml:"organizationalUnit,omitempty"`
	Role               Role   `yaml:"role"`
}

// wellFormedName accepts names that cannot be taken for a certificate's subject or an address with a port.
var wellFormedName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)

// CheckName returns an error if a token cannot have the name.
func CheckName(name string) error {
	if !wellFormedName.MatchString(name) {
		return fmt.Errorf("name %.100q: must be 1 to 64 letters, digits or one of ._@-, and begin with a letter or digit",
			name)
	}
	return nil
}

// ParseFile reads an access file in YAML or JSON.
func ParseFile(text []byte) (f File, err error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return f, err
	}
	if err := decoder.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return f, errors.New("more than one document")
	}
	if len(f.Tokens)+len(f.Certificates) == 0 { // also an empty file, which may still be being written
		return f, errors.New("neither tokens nor certificates")
	}
	names, sums := map[string]bool{}, map[string]bool{}
	for i, token := range f.Tokens {
		if err := token.check(); err != nil {
			return f, fmt.Errorf("tokens[%d]: %w", i, err)
		}
		if names[token.Name] {
			return f, fmt.Errorf("tokens[%d]: name %q is repeated", i, token.Name)
		}
		if sums[token.SHA256] {
			return f, fmt.Errorf("tokens[%d]: sha256 of %q is repeated", i, token.Name)
		}
		names[token.Name], sums[token.SHA256] = true, true
	}
	for i, certificate := range f.Certificates {
		if err := certificate.check(); err != nil {
			return f, fmt.Errorf("certificates[%d]: %w", i, err)
		}
	}
	return f, nil
}

func (t Token) check() error {
	if err := CheckName(t.Name); err != nil {
		return err
	}
	if _, err := t.sum(); err != nil {
		return err
	}
	if t.Role == Public {
		return errors.New("role is missing: must be viewer, operator or admin")
	}
	return nil
}

// sum returns the hash of the token.
func (t Token) sum() (sum [32]byte, err error) {
	decoded, err := hex.DecodeString(t.SHA256)
	if err != nil || len(decoded) != len(sum) || hex.EncodeToString(decoded) != t.SHA256 {
		// The text may be the token itself, by mistake, so the error does not repeat it.
		return sum, fmt.Errorf("sha256 of %q: must be 64 lower-case hexadecimal digits", t.Name)
	}
	copy(sum[:], decoded)
	return sum, nil
}

func (c Certificate) check() error {
	if c.CommonName == "" && c.OrganizationalUnit == "" {
		return errors.New("commonName or organizationalUnit is required")
	}
	if c.Role == Public {
		return errors.New("role is missing: must be viewer, operator or admin")
	}
	return nil
}
