package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

// tokenPrefix lets scanners of source code recognize a token.
const tokenPrefix = "blox_"

// NewToken returns a new token of 256 random bits.
func NewToken() string {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(secret[:])
}

// Hash returns the hash of a token for an access file.
func Hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}
