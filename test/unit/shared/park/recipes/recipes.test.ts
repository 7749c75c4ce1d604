/** Every recipe over a park in maps. */
import { ParkInMaps } from '../../../../support/park-in-maps.ts';
import { recipeConformance } from '../../../../support/recipe-conformance.ts';

recipeConformance('a park in maps', async () => new ParkInMaps());
