package testclock

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/blox/blox/internal/harness"
)

// variable names the environment variable that holds the path of a process's clock.
const variable = "BLOX_TEST_CLOCK"

// Clock changes the clocks of the processes that have its Env. Its methods may be called concurrently.
type Clock struct {
	file *os.File

	mu              sync.Mutex
	wall, monotonic time.Duration // offsets
}

// New creates the clock's file, which must not exist.
func New(path string) (*Clock, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create a test clock: %w", err)
	}
	c := &Clock{file: file}
	if err := c.writeLocked(); err != nil {
		file.Close()
		return nil, err
	}
	return c, nil
}

// Env returns the variable, as NAME=value, that gives a process this clock.
func (c *Clock) Env() string { return variable + "=" + c.file.Name() }

// Close closes the file. Processes keep the last offsets.
func (c *Clock) Close() error { return c.file.Close() }

// Step moves the wall clock forward, or backward if by is negative. The monotonic clock does not notice.
func (c *Clock) Step(by time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall += by
	return c.writeLocked()
}

// Reset ends all steps of the wall clock. What suspensions took from the monotonic clock remains.
func (c *Clock) Reset() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall = 0
	return c.writeLocked()
}

// Suspend stops the process, calls wait, and lets the process continue as after the suspension of its machine: the wall
// clock has advanced by the time that passed, the monotonic clock has not. The process must have this clock.
func (c *Clock) Suspend(p *harness.Process, wait func()) error {
	p.Pause()
	defer p.Resume()
	paused := time.Now()
	wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	// The process stopped before paused, so its monotonic clock never runs backwards.
	c.monotonic -= time.Since(paused)
	return c.writeLocked()
}

func (c *Clock) writeLocked() error {
	var page [16]byte
	binary.NativeEndian.PutUint64(page[:8], uint64(c.wall))
	binary.NativeEndian.PutUint64(page[8:], uint64(c.monotonic))
	if _, err := c.file.WriteAt(page[:], 0); err != nil {
		return fmt.Errorf("write a test clock: %w", err)
	}
	return nil
}
