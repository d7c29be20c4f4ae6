package events

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// Position is the place of a change of an event in the order of all changes. Each write to etcd has a revision, and the
// events that it changes have indexes. Its text is "<revision>.<index>".
type Position struct {
	Revision int64
	Index    int
}

// PositionOf returns the position of the event's last change.
func PositionOf(e environment.Event) Position { return Position{e.Revision, e.Index} }

// endOf returns the position after all changes of a revision.
func endOf(revision int64) Position { return Position{revision, math.MaxInt32} }

// Compare returns -1 if p is before other, 0 if they are equal, else 1.
func (p Position) Compare(other Position) int {
	return cmp.Or(cmp.Compare(p.Revision, other.Revision), cmp.Compare(p.Index, other.Index))
}

// IsZero reports whether p is before all changes.
func (p Position) IsZero() bool { return p == Position{} }

func (p Position) String() string { return fmt.Sprintf("%d.%d", p.Revision, p.Index) }

// MarshalText implements encoding.TextMarshaler.
func (p Position) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Position) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePosition(string(text))
	return err
}

// ParsePosition is the reverse of Position.String.
func ParsePosition(text string) (Position, error) {
	revision, index, found := strings.Cut(text, ".")
	r, err := strconv.ParseUint(revision, 10, 63)
	if err == nil && found {
		var i uint64
		if i, err = strconv.ParseUint(index, 10, 31); err == nil {
			return Position{int64(r), int(i)}, nil
		}
	}
	return Position{}, fmt.Errorf("event position %.100q: not <revision>.<index>", text)
}
