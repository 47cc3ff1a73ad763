"""The line, one file and one public function a stage."""
