// Package tokenfile reads the bearer token of a client from a file that may be replaced at any time.
package tokenfile

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/internal/logging"
)

// reloadInterval is the least time between two reads of the file.
const reloadInterval = time.Second

// wellFormed accepts what RFC 6750 allows in a header.
var wellFormed = regexp.MustCompile(`^[A-Za-z0-9._~+/-]{1,1000}=*$`)

// Check returns an error if token cannot be sent. The error does not contain it.
func Check(token string) error {
	if !wellFormed.MatchString(token) {
		return fmt.Errorf("not a token: must be one line of letters, digits and ._~+/-")
	}
	return nil
}

// File is the newest usable content of a file with a token. It is safe for concurrent use. A nil File has no token.
type File struct {
	path   string
	failed *logging.FailureLog

	mu        sync.Mutex
	checkedAt time.Time
	token     string
}

// Open reads the file. Log receives messages about files that replace it.
func Open(path string, log logrus.FieldLogger) (*File, error) {
	token, err := read(path)
	if err != nil {
		return nil, err
	}
	return &File{path: path, token: token, checkedAt: time.Now(), failed: logging.NewFailureLog(
		log.WithField("file", path), "failed to reload the token; the earlier one stays in use", "token reloaded")}, nil
}

// Fixed returns a File that always has the token.
func Fixed(token string) (*File, error) {
	return &File{token: token}, Check(token)
}

func read(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if err := Check(token); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return token, nil
}

// Authorize adds the token to a request.
func (f *File) Authorize(r *http.Request) {
	if header := f.Header(); header != "" {
		r.Header.Set("Authorization", header)
	}
}

// Header returns the value of the header Authorization; empty for none.
func (f *File) Header() string {
	if f == nil {
		return ""
	}
	return "Bearer " + f.newest()
}

// newest returns the token in the file, or the earlier one if the file cannot be used.
func (f *File) newest() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); f.path != "" && now.Sub(f.checkedAt) >= reloadInterval {
		f.checkedAt = now
		if token, err := read(f.path); err != nil {
			f.failed.Failed(err)
		} else {
			f.token = token
			f.failed.Succeeded()
		}
	}
	return f.token
}
