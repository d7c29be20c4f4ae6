// Package digest compares two copies of a set of records without sending the records.
package digest

import (
	"fmt"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// Sum identifies a set of records by their ARNs and entity versions, in any order: it is the sum of their hashes modulo
// 2^64. The hash of a record is XXH64, with seed 0, of its ARN, a space and its version in decimal. Clients in other
// languages compute it, too, so it must not change. The zero value is of the empty set.
type Sum uint64

// Add adds a record.
func (s *Sum) Add(arn string, version int64) { *s += of(arn, version) }

// Remove removes a record that was added.
func (s *Sum) Remove(arn string, version int64) { *s -= of(arn, version) }

// String returns 16 hexadecimal digits.
func (s Sum) String() string { return fmt.Sprintf("%016x", uint64(s)) }

func of(arn string, version int64) Sum {
	record := make([]byte, 0, 512) // stays on the stack
	record = append(record, arn...)
	record = append(record, ' ')
	return Sum(xxhash.Sum64(strconv.AppendInt(record, version, 10)))
}
