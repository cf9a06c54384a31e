"""An evaluation as one page of HTML that needs no server and no network."""
