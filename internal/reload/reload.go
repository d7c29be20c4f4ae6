// Package reload follows a file of settings that may be replaced at any time.
package reload

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/blox/blox/internal/logging"
)

const defaultInterval = time.Second

// Config configures Open.
type Config[T any] struct {
	Path     string
	Parse    func(text []byte) (T, error)
	Interval time.Duration      // between two reads of the file; a second by default
	Failures prometheus.Counter // of reads and changes
	Log      *logging.FailureLog
}

// File is a file of settings. Its methods are for one goroutine.
type File[T any] struct {
	Config[T]
	text string // of the settings in use
}

// Open reads the file, and returns its settings.
func Open[T any](cfg Config[T]) (*File[T], T, error) {
	cfg.Interval = cmp.Or(cfg.Interval, defaultInterval)
	f := &File[T]{Config: cfg}
	text, settings, err := f.read()
	f.text = text
	return f, settings, err
}

func (f *File[T]) read() (text string, settings T, err error) {
	read, err := os.ReadFile(f.Path)
	if err != nil {
		return "", settings, err
	}
	if settings, err = f.Parse(read); err != nil {
		return "", settings, fmt.Errorf("%s: %w", f.Path, err)
	}
	return string(read), settings, nil
}

// Run calls use with the settings of each changed file until ctx ends. While the file is invalid, or use returns an
// error, the earlier settings stay in use, and each read repeats the attempt.
func (f *File[T]) Run(ctx context.Context, use func(settings T) error) {
	tick := time.NewTicker(f.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := f.reload(use); err != nil {
			f.Failures.Inc()
			f.Log.Failed(err)
		} else {
			f.Log.Succeeded()
		}
	}
}

func (f *File[T]) reload(use func(T) error) error {
	text, settings, err := f.read()
	if err != nil || text == f.text {
		return err
	}
	if err := use(settings); err != nil {
		return err
	}
	f.text = text
	return nil
}
