package logging

import (
	"sync"

	"github.com/sirupsen/logrus"
)

// FailureLogs holds a FailureLog for each of many things that may fail. It is safe for concurrent use.
type FailureLogs struct {
	log       logrus.FieldLogger
	field     string
	failed    string
	recovered string

	mu   sync.Mutex
	logs map[string]*FailureLog // of the things that have failed, by name
}

// NewFailureLogs returns FailureLogs whose lines have the name of the thing in field.
func NewFailureLogs(log logrus.FieldLogger, field, failed, recovered string) *FailureLogs {
	return &FailureLogs{log: log, field: field, failed: failed, recovered: recovered, logs: map[string]*FailureLog{}}
}

// Failed counts a failure of the thing with this name and logs it if a message is due.
func (f *FailureLogs) Failed(name string, err error) {
	f.mu.Lock()
	one := f.logs[name]
	if one == nil {
		one = NewFailureLog(f.log.WithField(f.field, name), f.failed, f.recovered)
		f.logs[name] = one
	}
	f.mu.Unlock()
	one.Failed(err)
}

// Succeeded ends the failure of the thing with this name, if there is one.
func (f *FailureLogs) Succeeded(name string) {
	f.mu.Lock()
	one := f.logs[name]
	f.mu.Unlock()
	if one != nil {
		one.Succeeded()
	}
}

// Forget removes a thing that no longer exists.
func (f *FailureLogs) Forget(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.logs, name)
}
