// Package layers holds the test that keeps imports pointing down and siblings apart.
package layers
