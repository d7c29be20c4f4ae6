package clusterstate

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestPhantoms_Expire(t *testing.T) {
	var p phantoms
	now := time.Now()
	assert.False(t, p.at(now)("a"))
	p.add([]string{"a"}, now)
	p.add([]string{"b"}, now.Add(time.Minute))
	assert.True(t, p.at(now.Add(phantomLife-1))("a"))
	assert.False(t, p.at(now.Add(phantomLife))("a"))
	assert.True(t, p.at(now.Add(phantomLife))("b"))
	assert.False(t, p.at(now)("c"))
	assert.Equal(t, now.Add(phantomLife), p.nextExpiry(now))
	assert.Equal(t, now.Add(phantomLife+time.Minute), p.nextExpiry(now.Add(phantomLife)))
	assert.Zero(t, p.nextExpiry(now.Add(phantomLife+time.Minute)))
	assert.Zero(t, (*phantoms)(nil).nextExpiry(now))
}

func TestPhantoms_AreBounded(t *testing.T) {
	var p phantoms
	now := time.Now()
	var arns []string
	for n := range maxPhantoms + 10 {
		arns = append(arns, fmt.Sprint(n))
	}
	p.add(arns, now)
	assert.Len(t, *p.until.Load(), maxPhantoms)
	p.add([]string{"later"}, now.Add(phantomLife))
	assert.Len(t, *p.until.Load(), 1, "expired ones make room")
}
