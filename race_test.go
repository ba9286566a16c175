//go:build race

package oauth_test

// raceDetector makes everything some ten times slower.
const raceDetector = true
